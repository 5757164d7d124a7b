/* A packed data set: one HDF5 file that holds the images as they are in their files, one after the other.
 *
 *   attribute facet_images   version, 1
 *   attribute tables         uint64, XXH3-64 of the arrays below but bytes, in this order, little-endian
 *   bytes     uint8 (total)  all images, in chunks
 *   offset    int64 (n + 1)  where each begins in them, and the end
 *   checksum  uint64 (n)     XXH3-64 of each one's bytes
 *   label     int32 (n)      class number
 *   group     int32 (n)      -1: none
 *   fixed     uint8 (n)      ft_fixed
 *   names     uint8          n texts, each with its end
 *   classes   uint8          texts likewise
 *
 * Private to data/.
 */
#ifndef FACET_DATA_PACK_LAYOUT_H
#define FACET_DATA_PACK_LAYOUT_H

#define FT_PACK_ATTRIBUTE "facet_images"
#define FT_PACK_TABLES    "tables"
enum { FT_PACK_VERSION = 1 };

#endif
