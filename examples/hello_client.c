/* Asks hello_server for a greeting. Usage: hello_client [HOST:PORT [NAME]] */
#include <missive/rpc.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    const char *server = argc > 1 ? argv[1] : "127.0.0.1:4000";
    const char *name = argc > 2 ? argv[2] : "world";
    struct msv_client *client;
    struct msv_message *response;
    const void *text;

    if (msv_client_open(&client, NULL) != 0 ||
        msv_call(client, server, name, strlen(name), 5000, &response) != 0) {
        fprintf(stderr, "hello_client: %s\n", msv_rpc_errmsg());
        return 1;
    }
    size_t length = msv_message_peek(response, 0, &text);
    printf("%.*s\n", (int)length, (const char *)text);
    msv_message_free(response);
    msv_client_close(client);
    return 0;
}
