/* Send Twilio media streams in real time on open WebSockets: two tracks of 20 ms messages on each.
 *
 *     sender CHUNKS STREAM_SID PAYLOAD FILE_DESCRIPTOR...
 *
 * The first six bytes of each frame are its number in decimal digits, so that a lost frame can be found.
 * bench.recorder and bench.soak compile and start it. A sender in Python needs more CPU time for a message than the
 * recorder. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TICK 20000000LL /* nanoseconds */

static char frame[1024];

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void wait_until(int64_t at) {
    struct timespec time = {at / 1000000000LL, at % 1000000000LL};
    if (at - now() > 1000000)
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

/* Send the text at frame + 8 as one masked text frame. The masking key is zero, which leaves the text unchanged. */
static void send_text(int file, int length) {
    int head = length < 126 ? 6 : 8;
    char *start = frame + 8 - head;
    memset(start, 0, head);
    start[0] = (char)0x81;
    start[1] = (char)(0x80 | (length < 126 ? length : 126));
    if (length >= 126) {
        start[2] = (char)(length >> 8);
        start[3] = (char)(length & 255);
    }
    for (int left = head + length; left > 0;) {
        ssize_t sent = write(file, start, left);
        if (sent <= 0)
            exit(1);
        start += sent;
        left -= sent;
    }
}

/* Write the base64 of a number in six digits. */
static void write_number(char *text, int number) {
    static const char *alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char digits[16];
    snprintf(digits, sizeof digits, "%06d", number % 1000000);
    for (int half = 0; half < 2; half++) {
        const char *three = digits + 3 * half;
        int bits = three[0] << 16 | three[1] << 8 | three[2];
        for (int index = 0; index < 4; index++)
            text[4 * half + index] = alphabet[bits >> (18 - 6 * index) & 63];
    }
}

int main(int count, char **arguments) {
    static const char *media = "{\"event\":\"media\",\"sequenceNumber\":\"%d\",\"media\":{\"track\":\"%s\",\"chunk\":\"%d\","
                               "\"timestamp\":\"%d\",\"payload\":\"%s\"},\"streamSid\":\"%s\"}";
    static const char *mark = "{\"event\":\"mark\",\"streamSid\":\"%s\",\"mark\":{\"name\":\"%.9f\"}}";
    if (count < 5)
        return 2;
    int chunks = atoi(arguments[1]), streams = count - 4, room = sizeof frame - 8;
    const char *sid = arguments[2];
    char *payload = arguments[3];
    int64_t start = now();
    for (int chunk = 0; chunk < chunks; chunk++) {
        write_number(payload, chunk);
        for (int half = 0; half < 2; half++)
            for (int number = 0; number < streams; number++) {
                int64_t at = start + chunk * TICK + half * TICK / 2 + number * (TICK / 2) / streams;
                int file = atoi(arguments[4 + number]);
                wait_until(at);
                send_text(file, snprintf(frame + 8, room, media, 2 * chunk, half ? "outbound" : "inbound", chunk,
                                         chunk * 20, payload, sid));
                if (half && (chunk + number) % 50 == 0)
                    send_text(file, snprintf(frame + 8, room, mark, sid, at / 1e9));
            }
    }
    return 0;
}
