/* What kind of file it is that weights are to be read from. */
#include "train/weight_formats.h"
#include "train/zip_file.h"

#include <string.h>

enum { START = 24, MAX_HEADER = 100000000 }; /* bytes; the latter is safetensors' own limit */

static const char accepted[] =
    "give Keras weights (.h5, .weights.h5, .keras), a PyTorch state dict (.pth, .pt) or "
    "safetensors";

static bool begins(const uint8_t *start, int64_t n, const void *with, size_t bytes) {
    return n >= (int64_t)bytes && memcmp(start, with, bytes) == 0;
}

static ft_err zip_content(const char *path, ft_weights_kind *kind) {
    ft_zip z;
    FT_TRY(ft_zip_open(&z, path));
    bool keras = ft_zip_find(&z, "metadata.json") && ft_zip_find(&z, "config.json") &&
                 ft_zip_find(&z, "model.weights.h5");
    bool torch = ft_zip_find_in_folder(&z, "data.pkl") != NULL;
    ft_zip_close(&z);
    *kind = keras ? FT_WEIGHTS_KERAS_ZIP : FT_WEIGHTS_TORCH_ZIP;
    FT_REQUIRE(
        keras || torch, WEIGHTS,
        "'%s' is a ZIP archive, but neither Keras's (model.weights.h5, config.json and metadata.json are not "
        "in it) nor PyTorch's (no data.pkl in a folder); %s",
        path, accepted);
    return FT_OK;
}

/* Kinds that are not read but often given. */
static ft_err other_content(const char *path, const uint8_t *start, int64_t n) {
    FT_REQUIRE(
        !(n >= 2 && start[0] == 0x80 && start[1] >= 2 && start[1] <= 5), WEIGHTS,
        "'%s' is a Python pickle, as PyTorch wrote before version 1.6; save it again as a ZIP archive, in "
        "Python: torch.save(torch.load('%s', map_location='cpu'), 'NEW.pth')",
        path, path);
    FT_REQUIRE(!begins(start, n, "version https://git-lfs", 23), WEIGHTS,
               "'%s' is a placeholder of Git LFS, not the file itself; fetch it with: git lfs pull", path);
    FT_FAIL(WEIGHTS, "'%s' is in no format that is read (it begins with bytes %02x %02x %02x %02x); %s", path,
            start[0], start[1], start[2], start[3], accepted);
}

ft_err ft_weights_content(const char *path, ft_weights_kind *kind) {
    uint8_t start[START] = {0};
    ft_input_file f;
    FT_TRY(ft_input_file_open(&f, path));
    int64_t n = f.size < START ? f.size : START;
    ft_err e = ft_input_file_read(&f, 0, n, start);
    ft_input_file_close(&f);
    FT_TRY(e);
    uint64_t header = ft_le64(start);
    *kind = FT_WEIGHTS_HDF5;
    if (begins(start, n, "\x89HDF\r\n\x1a\n", 8)) return FT_OK;
    if (begins(start, n, "PK\3\4", 4)) return zip_content(path, kind);
    *kind = FT_WEIGHTS_TENSORS;
    return n > 8 && header <= MAX_HEADER && start[8] == '{' ? FT_OK : other_content(path, start, n);
}
