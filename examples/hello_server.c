/* Greets whoever asks. Usage: hello_server [HOST:PORT] */
#include <missive/rpc.h>

#include <stdio.h>
#include <string.h>

static void greet(void *context, struct msv_request *request)
{
    char name[100];
    char text[120];
    size_t length = msv_message_read(msv_request_message(request), 0, name, sizeof(name));

    (void)context;
    (void)snprintf(text, sizeof(text), "Hello, %.*s!", (int)length, name);
    msv_reply(request, text, strlen(text));
}

int main(int argc, char **argv)
{
    struct msv_server *server;

    if (msv_server_open(&server, argc > 1 ? argv[1] : "127.0.0.1:4000", NULL) == 0) {
        printf("serving on port %d\n", msv_server_port(server));
        (void)fflush(stdout);
        if (msv_server_run(server, greet, NULL) == 0)
            return 0;
    }
    fprintf(stderr, "hello_server: %s\n", msv_rpc_errmsg());
    return 1;
}
