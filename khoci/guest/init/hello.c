// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent.h"
#include "files.h"

#define SETUP_DATA	"/sys/kernel/boot_params/setup_data"

static void put_setup_data(struct json_out *out)
{
	struct dirent **entries = NULL;
	int count = folder_read(SETUP_DATA, &entries);
	char path[512], type[32];

	json_open(out, "setup_data", '[');
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), SETUP_DATA "/%s/type",
			 entries[i]->d_name);
		file_text(path, type, sizeof(type));
		json_put_int(out, NULL, strtoll(type, NULL, 0));
	}
	json_close(out, ']');
	folder_free(entries, count);
}

static void put_names(struct json_out *out, const char *folder,
		      const char *prefix)
{
	struct dirent **entries = NULL;
	int count = folder_read(folder, &entries);
	char name[512];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s%s", prefix,
			 entries[i]->d_name);
		if (strcmp(name, "sub_fdts"))
			json_put_text(out, NULL, name);
	}
	folder_free(entries, count);
}

static void put_kho(struct json_out *out)
{
	json_open(out, "kho", '{');
	json_put_bool(out, "enabled", !access(KHO_FOLDER, F_OK));
	json_put_bool(out, "finalize",
		      !access(KHO_FOLDER "/out/finalize", F_OK));
	json_open(out, "in", '[');
	put_names(out, KHO_FOLDER "/in", "");
	put_names(out, KHO_FOLDER "/in/sub_fdts", "sub_fdts/");
	json_close(out, ']');
	json_close(out, '}');
}

static void put_missing(struct json_out *out, const struct mount_point *points)
{
	char text[64];

	json_open(out, "missing", '[');
	for (int i = 0; i < MOUNT_POINTS; i++) {
		if (!points[i].error)
			continue;
		snprintf(text, sizeof(text), "%s: %s", points[i].type,
			 strerrorname_np(points[i].error));
		json_put_text(out, NULL, text);
	}
	json_close(out, ']');
}

void say_hello(struct agent *agent)
{
	struct json_out *out = &agent->answer;
	struct utsname names = { 0 };
	char cmdline[4096];

	uname(&names);
	file_text("/proc/cmdline", cmdline, sizeof(cmdline));
	message_begin(agent);
	json_put_int(out, "khoci", PROTOCOL_VERSION);
	json_put_text(out, "event", "hello");
	json_put_text(out, "release", names.release);
	json_put_text(out, "cmdline", cmdline);
	put_setup_data(out);
	put_kho(out);
	json_put_int(out, "mem_total", meminfo_kb("MemTotal:"));
	put_missing(out, agent->mounts);
	message_send(agent);
}
