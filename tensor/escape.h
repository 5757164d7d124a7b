/* Text on its way into JSON, CSV, HTML and onto a terminal. Everything is UTF-8; bytes that are not become
 * U+FFFD. Errors of the stream are left to its ferror(). */
#ifndef FACET_TENSOR_ESCAPE_H
#define FACET_TENSOR_ESCAPE_H

#include <stdint.h>
#include <stdio.h>

/* Decodes one character at *s (not at the end) and moves *s past it; U+FFFD and one byte for malformed input.
 */
uint32_t ft_utf8_next(const char **s);
/* Characters (code points) in s. */
int ft_utf8_length(const char *s);

/* A JSON string with its quotes (RFC 8259). */
void ft_json_string(FILE *f, const char *s);
/* A JSON number that reads back as the same double; null for NaN and infinities. The locale must use a
 * decimal point. */
void ft_json_number(FILE *f, double x);
/* A CSV field, quoted where RFC 4180 asks for it. */
void ft_csv_field(FILE *f, const char *s);
/* HTML text, safe between tags and inside a double-quoted attribute; control characters become U+FFFD. */
void ft_html_text(FILE *f, const char *s);
/* The same, cut to width characters with an ellipsis. */
void ft_html_text_cut(FILE *f, const char *s, int width);
/* n bytes as base64 (RFC 4648, section 4). */
void ft_base64(FILE *f, const unsigned char *bytes, size_t n);
/* Exactly width columns of plain text: cut with an ellipsis or padded with spaces; control characters become
 * '?'. */
void ft_terminal_text(FILE *f, const char *s, int width);

#endif
