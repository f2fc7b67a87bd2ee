/*
 * Network namespaces for tests; see netns.h.
 */
#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A descriptor for the namespace that the process is in. Descriptors are inherited by the commands
 * that netns_run starts, so that `ip` can name a namespace as /proc/self/fd/N. */
static int netns_current(void)
{
    int netns = open("/proc/thread-self/ns/net", O_RDONLY);

    assert_true(netns >= 0);
    return netns;
}

static bool write_file(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool is_written = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);

    if (file >= 0)
        (void)close(file);
    return is_written;
}

/* An ordinary user becomes root of a user namespace first. */
static bool become_root_of_user_namespace(void)
{
    char map[64];
    unsigned user = (unsigned)geteuid();

    if (unshare(CLONE_NEWUSER) != 0)
        return false;
    (void)snprintf(map, sizeof(map), "0 %u 1", user);
    return write_file("/proc/self/uid_map", map);
}

int netns_new(void)
{
    if (unshare(CLONE_NEWNET) != 0 &&
        (errno != EPERM || !become_root_of_user_namespace() || unshare(CLONE_NEWNET) != 0))
        return -1;
    /* Addresses are to be usable at once, the link-local ones included. */
    netns_run("ip link set lo up && echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad");
    return netns_current();
}

void netns_enter(int netns)
{
    assert_int_equal(setns(netns, CLONE_NEWNET), 0);
}

void netns_close(int netns)
{
    if (netns >= 0)
        (void)close(netns);
}

static bool run(const char *format, va_list arguments)
{
    char command[512];
    int length = vsnprintf(command, sizeof(command), format, arguments);

    assert_in_range(length, 1, sizeof(command) - 1);
    if (system(command) == 0)
        return true;
    print_message("failed: %s\n", command);
    return false;
}

void netns_run(const char *format, ...)
{
    va_list arguments;
    bool is_done = false;

    va_start(arguments, format);
    is_done = run(format, arguments);
    va_end(arguments);
    assert_true(is_done);
}

bool netns_try(const char *format, ...)
{
    va_list arguments;
    bool is_done = false;

    va_start(arguments, format);
    is_done = run(format, arguments);
    va_end(arguments);
    return is_done;
}

void netns_link_close(struct netns_link *link)
{
    netns_close(link->left);
    netns_close(link->right);
}

bool netns_link_open(struct netns_link *link, unsigned mtu)
{
    link->left = netns_new();
    link->right = link->left >= 0 ? netns_new() : -1;
    if (link->right < 0) {
        netns_link_close(link);
        return false;
    }
    netns_run("ip link add right mtu %u type veth peer name left mtu %u netns /proc/self/fd/%d",
              mtu, mtu, link->left);
    netns_run("ip addr add 10.9.0.2/24 dev right && ip addr add fd09::2/64 dev right nodad && "
              "ip link set right up");
    netns_enter(link->left);
    netns_run("ip addr add 10.9.0.1/24 dev left && ip addr add fd09::1/64 dev left nodad && "
              "ip link set left up");
    return true;
}

/* snmp6: "name value" lines. */
static bool find_snmp6(const char *line, const char *name, unsigned long *value)
{
    char found[128];

    return sscanf(line, "%127s %lu", found, value) == 2 && strcmp(found, name) == 0;
}

/* snmp: a line of names and one of values for each group; the wanted column. */
static bool find_snmp(char *names, char *values, const char *name, unsigned long *value)
{
    char *names_rest = NULL;
    char *values_rest = NULL;
    char *a = strtok_r(names, " \n", &names_rest);
    char *b = strtok_r(values, " \n", &values_rest);

    for (; a != NULL && b != NULL;
         a = strtok_r(NULL, " \n", &names_rest), b = strtok_r(NULL, " \n", &values_rest)) {
        if (strcmp(a, name) == 0) {
            *value = strtoul(b, NULL, 10);
            return true;
        }
    }
    return false;
}

unsigned long netns_counter(const char *group, const char *name)
{
    const char *path = group != NULL ? "/proc/thread-self/net/snmp" : "/proc/thread-self/net/snmp6";
    FILE *file = fopen(path, "re");
    char line[1024];
    char values[1024];
    unsigned long value = 0;
    bool is_found = false;

    assert_non_null(file);
    while (!is_found && fgets(line, sizeof(line), file) != NULL) {
        if (group == NULL) {
            is_found = find_snmp6(line, name, &value);
        } else if (strncmp(line, group, strlen(group)) == 0 && line[strlen(group)] == ':' &&
                   fgets(values, sizeof(values), file) != NULL) {
            is_found = find_snmp(line, values, name, &value);
        }
    }
    (void)fclose(file);
    assert_true(is_found);
    return value;
}
