/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small files and folders of the kernel. */
#ifndef KHOCI_FILES_H
#define KHOCI_FILES_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define KHO_FOLDER	"/sys/kernel/debug/kho"

/* Up to size bytes of a file from offset; never blocks. -1 with errno if it fails. */
ssize_t file_read(const char *path, off_t offset, char *data, size_t size);

/* The text of a file without its last newline; empty if it cannot be read. */
void file_text(const char *path, char *text, size_t size);

/* Write to a file that exists. False with errno if it fails. */
bool file_write(const char *path, const char *text);

/* The names in a folder, as scandir() gives them: sorted, without the dots. */
int folder_read(const char *path, struct dirent ***entries);
void folder_free(struct dirent **entries, int count);

/* A line of /proc/meminfo, in kB; 0 if it is not there. */
long long meminfo_kb(const char *name);

#endif
