/* Asks hello_server for a greeting. Usage: hello_client [HOST:PORT [NAME]] */
#include <missive/rpc.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    const char *server = argc > 1 ? argv[1] : "127.0.0.1:4000";
    const char *name = argc > 2 ? argv[2] : "world";
    struct msv_client *client = NULL;
    struct msv_message *response = NULL;
    char text[120];

    int error = msv_client_open(&client, NULL);
    if (error == 0)
        error = msv_call(client, server, name, strlen(name), 5000, &response);
    if (error == 0)
        printf("%.*s\n", (int)msv_message_read(response, 0, text, sizeof(text)), text);
    else
        fprintf(stderr, "hello_client: %s\n", msv_rpc_errmsg());
    msv_message_free(response);
    msv_client_close(client);
    return error == 0 ? 0 : 1;
}
