/* Atomic replacement of a file: a reader sees the old content or the whole new content, never a part,
 * whatever fails.
 *
 * The new content goes to "<path>.tmp" in the same folder; commit brings it to the disk (fsync), renames it
 * over <path> and brings the folder to the disk too. A process that is killed can leave "<path>.tmp" behind;
 * the next write removes it.
 *
 *     ft_atomic_file a;
 *     FT_TRY(ft_atomic_open(&a, path));
 *     fprintf(a.stream, ...);              // write errors are found by commit
 *     return ft_atomic_commit(&a);
 */
#ifndef FACET_TENSOR_ATOMIC_FILE_H
#define FACET_TENSOR_ATOMIC_FILE_H

#include "tensor/error.h"

#include <stdio.h>

typedef struct ft_atomic_file {
    FILE *stream; /* to write to; NULL after ft_atomic_begin */
    char *temp;   /* path of the temporary file, for a library that opens files by itself */
    char *path;   /* the file to replace */
    int fd;
} ft_atomic_file;

/* Starts a replacement of path through a->stream. Ends with commit or abort.
 * FT_E_IO (folder missing, not writable, ...), FT_E_MEMORY: nothing was created and *a needs no abort. */
ft_err ft_atomic_open(ft_atomic_file *a, const char *path);
/* The same without a stream: the caller writes the file a->temp (which exists and is empty) and closes it
 * before commit. */
ft_err ft_atomic_begin(ft_atomic_file *a, const char *path);
/* All of it: replaces path by what write puts into the stream. FT_E_IO, FT_E_MEMORY, or write's own failure:
 * path is as it was. */
ft_err ft_atomic_write(const char *path, ft_err (*write)(FILE *stream, const void *ctx), const void *ctx);
/* Writes n bytes at once, past the stream, which has been given none: for what is large and whole in memory.
 * FT_E_IO says what failed; a is still to be committed or aborted. */
ft_err ft_atomic_put(ft_atomic_file *a, const void *bytes, size_t n);
/* Makes the new content the file's content and releases *a.
 * FT_E_IO (disk full, an earlier write failed, another process replaces the same file): path is as it was,
 * the temporary file is gone, *a is released. */
ft_err ft_atomic_commit(ft_atomic_file *a);
/* Brings the folder that path is in to the disk, so that a name given to a file in it stays. FT_E_IO. */
ft_err ft_atomic_sync_folder(const char *path);
/* Forgets the new content and releases *a; path is as it was. Harmless after commit, abort or a failed open.
 */
void ft_atomic_abort(ft_atomic_file *a);

#endif
