/* AiKv from C with hiredis, with every family of commands, while a master dies.
 *
 *     cc -o client client.c -lhiredis
 *     client HOST:PORT,... [FAMILY ...]
 *
 * hiredis knows single servers. What makes it a client of a cluster are the first
 * hundred lines: a connection to each node, and MOVED, which says who has a slot.
 * See README.md of this folder for what is proved. */
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 16384, MAX_NODES = 64, MAX_WORDS = 16, TEXT = 1024, REDIRECTS = 8 };
static const int PATIENCE = 60; /* seconds, for one write to succeed while a master is replaced */

struct node {
  char host[256];
  int port;
  redisContext *connection; /* NULL: none yet */
};

static struct node nodes[MAX_NODES];
static int node_count, next_node;
static int owner[SLOTS]; /* the node that has a slot; -1: any may know */

static int node_at(const char *host, int port) {
  for (int i = 0; i < node_count; i++)
    if (nodes[i].port == port && strcmp(nodes[i].host, host) == 0) return i;
  if (node_count == MAX_NODES) exit(3);
  snprintf(nodes[node_count].host, sizeof nodes[0].host, "%s", host);
  nodes[node_count].port = port;
  return node_count++;
}

static redisContext *connection_to(int n) {
  struct node *node = &nodes[n];
  struct timeval second = {1, 0}, reading = {PATIENCE, 0};
  if (node->connection != NULL) return node->connection;
  node->connection = redisConnectWithTimeout(node->host, node->port, second);
  if (node->connection != NULL && node->connection->err == 0) redisSetTimeout(node->connection, reading);
  return node->connection;
}

static void disconnect(int n) {
  if (nodes[n].connection != NULL) redisFree(nodes[n].connection);
  nodes[n].connection = NULL;
}

/* The slot of a key: CRC16 (XMODEM) of what is between braces, or of all. */
static int slot_of(const char *key) {
  const char *from = strchr(key, '{'), *to = from ? strchr(from + 1, '}') : NULL;
  uint16_t crc = 0;
  if (to == NULL || to == from + 1) {
    from = key - 1;
    to = key + strlen(key);
  }
  for (const char *p = from + 1; p < to; p++) {
    crc ^= (uint16_t)((unsigned char)*p << 8);
    for (int bit = 0; bit < 8; bit++) crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
  }
  return crc % SLOTS;
}

/* The reply of the node that has the slot; NULL if it cannot be asked now. */
static redisReply *ask(int slot, int argc, const char **argv) {
  for (int i = 0; i < REDIRECTS; i++) {
    int n = owner[slot] >= 0 ? owner[slot] : next_node++ % node_count;
    redisContext *connection = connection_to(n);
    redisReply *reply;
    char host[256];
    int port;
    if (connection == NULL || connection->err != 0) { /* whoever has the slot now, another node knows it */
      disconnect(n);
      owner[slot] = -1;
      continue;
    }
    if ((reply = redisCommandArgv(connection, argc, argv, NULL)) == NULL) { /* perhaps it was done, perhaps not */
      disconnect(n);
      owner[slot] = -1;
      return NULL;
    }
    if (reply->type != REDIS_REPLY_ERROR || sscanf(reply->str, "MOVED %*d %255[^:]:%d", host, &port) != 2) {
      if (owner[slot] < 0 && reply->type != REDIS_REPLY_ERROR) owner[slot] = n;
      return reply;
    }
    owner[slot] = node_at(host, port);
    freeReplyObject(reply);
  }
  return NULL;
}

/* show appends a reply to text: "a", "3", "nil", "error: …", "[a b]". */
static void show(const redisReply *r, char *text) {
  size_t used = strlen(text);
  switch (r->type) {
  case REDIS_REPLY_INTEGER:
    snprintf(text + used, TEXT - used, "%lld", r->integer);
    break;
  case REDIS_REPLY_NIL:
    snprintf(text + used, TEXT - used, "nil");
    break;
  case REDIS_REPLY_ERROR:
    snprintf(text + used, TEXT - used, "error: %s", r->str);
    break;
  case REDIS_REPLY_ARRAY:
    snprintf(text + used, TEXT - used, "[");
    for (size_t i = 0; i < r->elements; i++) {
      if (i > 0 && strlen(text) + 2 < TEXT) strcat(text, " ");
      show(r->element[i], text);
    }
    if (strlen(text) + 2 < TEXT) strcat(text, "]");
    break;
  default:
    snprintf(text + used, TEXT - used, "%s", r->str);
  }
}

/* run runs a line. In it, @ begins a key of the prefix k, and # is the number n. All keys
 * have the slot of k. Whether it was answered; text is the reply. */
static int run(const char *line, const char *k, int n, char *text) {
  char copy[TEXT], words[MAX_WORDS][256], *rest = NULL;
  const char *argv[MAX_WORDS];
  int argc = 0;
  redisReply *reply;
  snprintf(copy, sizeof copy, "%s", line);
  for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
    char *number = strchr(word, '#');
    if (number != NULL) *number = 0;
    snprintf(words[argc], sizeof words[0], "%s%s", *word == '@' ? k : "", *word == '@' ? word + 1 : word);
    if (number != NULL) snprintf(words[argc] + strlen(words[argc]), 32, "%d", n);
    argv[argc] = words[argc];
    argc++;
  }
  *text = 0;
  if ((reply = ask(slot_of(k), argc, argv)) == NULL) return 0;
  show(reply, text);
  freeReplyObject(reply);
  return 1;
}

struct step {
  const char *line, *want; /* want: NULL for whatever is no error */
};

struct family {
  const char *name;
  struct step use[16];  /* played once */
  struct step write[6]; /* a write that may be repeated */
  struct step held[2];  /* whether it is there */
};

static const struct family families[] = {
    {"strings",
     {{"SET @ hello", "OK"},
      {"APPEND @ -world", "11"},
      {"GETRANGE @ 6 -1", "world"},
      {"SET @ x NX", "nil"},
      {"INCRBY @n 41", "41"},
      {"INCRBYFLOAT @n 1.5", "42.5"},
      {"MSET @a 1 @b 2", "OK"},
      {"MGET @a @none @b", "[1 nil 2]"},
      {"SETBIT @bits 7 1", "0"},
      {"BITCOUNT @bits", "1"},
      {"EXPIRE @ 100", "1"},
      {"PERSIST @", "1"},
      {"DEL @ @a", "2"}},
     {{"SET @# #", "OK"}},
     {{"EXISTS @#", "1"}}},
    {"hashes",
     {{"HSET @ name Ada year 1815", "2"},
      {"HINCRBY @ year 37", "1852"},
      {"HGETALL @", "[name Ada year 1852]"},
      {"HMGET @ name none", "[Ada nil]"},
      {"HEXPIRE @ 100 FIELDS 1 name", "[1]"},
      {"HPERSIST @ FIELDS 2 name year", "[1 -1]"},
      {"HDEL @ name none", "1"},
      {"HSCAN @ 0", "[0 [year 1852]]"}},
     {{"HSET @ f# #", NULL}},
     {{"HEXISTS @ f#", "1"}}},
    {"sortedsets",
     {{"ZADD @ 1 a 2 b 3 c", "3"},
      {"ZINCRBY @ 5 a", "6"},
      {"ZRANGE @ 0 -1 WITHSCORES", "[b 2 c 3 a 6]"},
      {"ZRANGEBYSCORE @ (2 +inf", "[c a]"},
      {"ZRANK @ a WITHSCORE", "[2 6]"},
      {"ZRANGESTORE @copy @ 0 1", "2"},
      {"ZINTERSTORE @both 2 @ @copy", "2"},
      {"ZPOPMIN @", "[b 2]"},
      {"ZCARD @", "2"}},
     {{"ZADD @ # m#", NULL}},
     {{"ZCOUNT @ # #", "1"}}},
    {"lists",
     {{"RPUSH @ b c d", "3"},
      {"LPUSH @ a", "4"},
      {"LINSERT @ BEFORE c x", "5"},
      {"LRANGE @ 0 -1", "[a b x c d]"},
      {"LPOS @ x", "2"},
      {"LREM @ 0 x", "1"},
      {"LMOVE @ @other LEFT RIGHT", "a"},
      {"LPOP @ 2", "[b c]"},
      {"LLEN @", "1"},
      {"LTRIM @ 1 0", "OK"},
      {"EXISTS @", "0"}},
     {{"DEL @#", NULL}, {"RPUSH @# #", "1"}},
     {{"LLEN @#", "1"}}},
    {"streams",
     {{"XADD @ 1-1 a 1", "1-1"},
      {"XADD @ 1-2 b 2", "1-2"},
      {"XRANGE @ - +", "[[1-1 [a 1]] [1-2 [b 2]]]"},
      {"XGROUP CREATE @ g 0", "OK"},
      {"XREADGROUP GROUP g c COUNT 1 STREAMS @ >", NULL},
      {"XACK @ g 1-1", "1"},
      {"XREADGROUP GROUP g d BLOCK 1000 STREAMS @ >", NULL},
      {"XACK @ g 1-2", "1"},
      {"XREAD BLOCK 50 STREAMS @ $", "nil"},
      {"XPENDING @ g", "[0 nil nil nil]"},
      {"XTRIM @ MAXLEN 1", "1"},
      {"XLEN @", "1"}},
     {{"DEL @#", NULL}, {"XADD @# * n #", NULL}},
     {{"XLEN @#", "1"}}},
    {"sets",
     {{"SADD @ a b c", "3"},
      {"SADD @other b c d", "3"},
      {"SINTERCARD 2 @ @other", "2"},
      {"SUNIONSTORE @all @ @other", "4"},
      {"SMISMEMBER @ a z", "[1 0]"},
      {"SMOVE @ @other a", "1"},
      {"SREM @ b", "1"},
      {"SPOP @", "c"},
      {"SCARD @", "0"}},
     {{"SADD @ #", NULL}},
     {{"SISMEMBER @ #", "1"}}},
    {"geo",
     {{"GEOADD @ 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", "2"},
      {"GEODIST @ Palermo Catania km", "166.2742"},
      {"GEOSEARCH @ FROMLONLAT 15 37 BYRADIUS 100 km", "[Catania]"},
      {"GEOHASH @ Palermo", "[sqc8b49rny0]"}},
     {{"GEOADD @ 15 37 m#", NULL}},
     {{"GEODIST @ m# m#", "0.0000"}}},
    {"hyperloglogs",
     {{"PFADD @ a b c", "1"},
      {"PFADD @ c", "0"},
      {"PFADD @other d", "1"},
      {"PFMERGE @all @ @other", "OK"},
      {"PFCOUNT @all", "4"}},
     {{"PFADD @# #", NULL}},
     {{"PFCOUNT @#", "1"}}},
    {"transactions",
     {{"SET @ 1", "OK"},
      {"WATCH @", "OK"},
      {"MULTI", "OK"},
      {"INCR @", "QUEUED"},
      {"HSET @h f v", "QUEUED"},
      {"EXEC", "[2 1]"},
      {"WATCH @", "OK"},
      {"SET @ 7", "OK"},
      {"MULTI", "OK"},
      {"SET @ 8", "QUEUED"},
      {"EXEC", "nil"},
      {"GET @", "7"}},
     {{"EXISTS @", NULL}, /* leads to the node that has it now */
      {"MULTI", "OK"},
      {"SET @a# #", "QUEUED"},
      {"SET @b# #", "QUEUED"},
      {"EXEC", "[OK OK]"}},
     {{"EXISTS @a# @b#", "2"}}},
    {"blocking",
     {{"BLPOP @ 0.05", "nil"},
      {"RPUSH @ a", "1"},
      {"BLPOP @ 10", NULL},
      {"ZADD @z 1 a 2 b", "2"},
      {"BZPOPMAX @z 10", NULL},
      {"ZRANGE @z 0 -1", "[a]"}},
     {{"RPUSH @# #", NULL}, {"BLMOVE @# @to# LEFT RIGHT 10", NULL}},
     {{"LPOS @to# #", "0"}}},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

/* failed_step returns the first of the steps that did not go as it should, with what was
 * said in its place; NULL if all did. */
static const char *failed_step(const struct step *steps, const char *k, int n, char *text) {
  for (; steps->line != NULL; steps++) {
    if (!run(steps->line, k, n, text)) return steps->line;
    if (steps->want != NULL ? strcmp(text, steps->want) != 0 : strncmp(text, "error", 5) == 0) return steps->line;
  }
  return NULL;
}

/* again plays steps until the cluster has a new master. They may be played more than once.
 * What it returns is as of failed_step. */
static const char *again(const struct step *steps, const char *k, int n, char *text) {
  time_t deadline = time(NULL) + PATIENCE;
  for (;;) {
    const char *line = failed_step(steps, k, n, text);
    char ignored[TEXT];
    if (line == NULL || time(NULL) > deadline) return line;
    if (*text != 0 && strncmp(text, "error", 5) != 0) return line; /* an answer, and not the right one */
    if (strncmp(line, "MULTI", 5) != 0) run("DISCARD", k, 0, ignored); /* what was queued */
    usleep(50000);
  }
}

static int wanted(const char *name, int argc, char **argv) {
  for (int i = 2; i < argc; i++)
    if (strcmp(argv[i], name) == 0) return 1;
  return argc == 2;
}

static void must(const char *failed, const char *family, const char *said) {
  if (failed == NULL) return;
  fprintf(stderr, "%s: %s: %s\n", family, failed, said);
  exit(1);
}

static long start; /* so that a second run has keys of its own */

static void prefix(char *k, const char *family, int n) { snprintf(k, 256, "c:%ld:{%s%d}:", start, family, n % 8); }

int main(int argc, char **argv) {
  char k[256], text[TEXT], *rest = NULL;
  int n = 0;
  if (argc < 2) return 2;
  start = (long)time(NULL);
  for (char *address = strtok_r(argv[1], ",", &rest); address != NULL; address = strtok_r(NULL, ",", &rest)) {
    char *port = strrchr(address, ':');
    if (port == NULL) return 2;
    *port = 0;
    node_at(address, atoi(port + 1));
  }
  for (int s = 0; s < SLOTS; s++) owner[s] = -1;
  for (int f = 0; f < FAMILIES; f++) {
    snprintf(k, sizeof k, "c:%ld:{%s}:before:", start, families[f].name);
    if (wanted(families[f].name, argc, argv)) must(failed_step(families[f].use, k, 0, text), families[f].name, text);
  }
  for (;;) {
    if (run("GET clients:stop", "clients:stop", 0, text) && strcmp(text, "1") == 0) break;
    for (int f = 0; f < FAMILIES; f++) {
      prefix(k, families[f].name, n);
      if (wanted(families[f].name, argc, argv)) must(again(families[f].write, k, n, text), families[f].name, text);
    }
    usleep(5000); /* what matters is what happens to writes, not their number */
    if (++n == 10) puts("ready"), fflush(stdout);
  }
  for (int f = 0; f < FAMILIES; f++) {
    const char *name = families[f].name;
    if (!wanted(name, argc, argv)) continue;
    for (int i = 0; i < n; i++) {
      prefix(k, name, i);
      must(again(families[f].held, k, i, text), name, text);
    }
    snprintf(k, sizeof k, "c:%ld:{%s}:after:", start, name);
    must(failed_step(families[f].use, k, 0, text), name, text);
    printf("%s: %d writes held\n", name, n);
  }
  return 0;
}
