#!/usr/bin/env python3
"""AiKv from redis-py, with every family of commands, while a master dies.

    client.py HOST:PORT,... [FAMILY ...]

See README.md of this folder for what is proved, and connect() for what to copy.
"""
import logging
import sys
import threading
import time

from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisError

RUN = f"python:{int(time.time())}"  # so that a second run has keys of its own
PATIENCE = 60  # seconds, for one write to succeed while a master is replaced


def connect(addresses):
    """A client that survives the loss of any one node."""
    nodes = []
    for address in addresses.split(","):
        host, port = address.rsplit(":", 1)
        nodes.append(ClusterNode(host, int(port)))
    return RedisCluster(
        startup_nodes=nodes,
        decode_responses=True,
        socket_timeout=5,
        socket_connect_timeout=1,
        # Look who serves which slot after the first MOVED, not only after the tenth.
        reinitialize_steps=1,
    )


def expect(got, want):
    if got != want:
        raise AssertionError(f"got {got!r}, want {want!r}")


class Strings:
    def use(self, r, k):
        expect(r.set(k, "hello"), True)
        expect(r.append(k, " world"), 11)
        expect(r.getrange(k, 6, -1), "world")
        expect(r.set(k, "x", nx=True), None)
        expect(r.incrby(k + "n", 41), 41)
        expect(r.incrbyfloat(k + "n", 1.5), 42.5)
        expect(r.mset({k + "a": "1", k + "b": "2"}), True)
        expect(r.mget(k + "a", k + "none", k + "b"), ["1", None, "2"])
        expect(r.setbit(k + "bits", 7, 1), 0)
        expect(r.bitcount(k + "bits"), 1)
        expect(r.expire(k, 100), True)
        expect(0 < r.ttl(k) <= 100, True)
        expect(r.delete(k, k + "a"), 2)

    def write(self, r, k, n):
        r.set(f"{k}{n}", n)

    def held(self, r, k, n):
        return r.get(f"{k}{n}") == str(n)


class Hashes:
    def use(self, r, k):
        expect(r.hset(k, mapping={"name": "Ada", "year": "1815"}), 2)
        expect(r.hincrby(k, "year", 37), 1852)
        expect(r.hgetall(k), {"name": "Ada", "year": "1852"})
        expect(r.hmget(k, ["name", "none"]), ["Ada", None])
        # Expiry of fields is younger than this version of the library.
        expect(r.execute_command("HEXPIRE", k, 100, "FIELDS", 1, "name"), [1])
        expect(r.execute_command("HPERSIST", k, "FIELDS", 2, "name", "year"), [1, -1])
        expect(r.hdel(k, "name", "none"), 1)
        expect(dict(r.hscan_iter(k)), {"year": "1852"})

    def write(self, r, k, n):
        r.hset(k, f"f{n}", n)

    def held(self, r, k, n):
        return r.hget(k, f"f{n}") == str(n)


class SortedSets:
    def use(self, r, k):
        expect(r.zadd(k, {"a": 1, "b": 2, "c": 3}), 3)
        expect(r.zincrby(k, 5, "a"), 6.0)
        expect(r.zrange(k, 0, -1, withscores=True), [("b", 2.0), ("c", 3.0), ("a", 6.0)])
        expect(r.zrangebyscore(k, "(2", "+inf"), ["c", "a"])
        expect(r.zrank(k, "a"), 2)
        expect(r.zrangestore(k + "copy", k, 0, 1), 2)
        expect(r.zinterstore(k + "both", [k, k + "copy"]), 2)
        expect(r.zpopmin(k), [("b", 2.0)])
        expect(r.zcard(k), 2)

    def write(self, r, k, n):
        r.zadd(k, {f"m{n}": n})

    def held(self, r, k, n):
        return r.zscore(k, f"m{n}") == float(n)


class Lists:
    def use(self, r, k):
        expect(r.rpush(k, "b", "c", "d"), 3)
        expect(r.lpush(k, "a"), 4)
        expect(r.linsert(k, "BEFORE", "c", "x"), 5)
        expect(r.lrange(k, 0, -1), ["a", "b", "x", "c", "d"])
        expect(r.lpos(k, "x"), 2)
        expect(r.lrem(k, 0, "x"), 1)
        expect(r.lmove(k, k + "other", "LEFT", "RIGHT"), "a")
        expect(r.lpop(k, 2), ["b", "c"])
        expect(r.llen(k), 1)
        expect(r.ltrim(k, 1, 0), True)
        expect(r.exists(k), 0)

    def write(self, r, k, n):
        r.rpush(k, n)  # twice, if the library has to ask again

    def held(self, r, k, n):
        return r.lpos(k, n) is not None


class Streams:
    def use(self, r, k):
        expect(r.xadd(k, {"a": 1}, id="1-1"), "1-1")
        expect(r.xadd(k, {"b": 2}, id="1-2"), "1-2")
        expect(r.xrange(k), [("1-1", {"a": "1"}), ("1-2", {"b": "2"})])
        expect(r.xgroup_create(k, "g", "0"), True)
        expect(r.xreadgroup("g", "c", {k: ">"}, count=1), [[k, [("1-1", {"a": "1"})]]])
        expect(r.xpending(k, "g")["pending"], 1)
        expect(r.xack(k, "g", "1-1"), 1)
        expect(r.xreadgroup("g", "d", {k: ">"}, block=1000), [[k, [("1-2", {"b": "2"})]]])
        expect(r.xread({k: "1-1"}), [[k, [("1-2", {"b": "2"})]]])
        expect(r.xtrim(k, maxlen=1, approximate=False), 1)
        expect(r.xlen(k), 1)

    def write(self, r, k, n):
        r.xadd(k, {"n": n})  # twice, if the library has to ask again

    def held(self, r, k, n):
        return any(entry == {"n": str(n)} for _, entry in r.xrange(k))


class Sets:
    def use(self, r, k):
        expect(r.sadd(k, "a", "b", "c"), 3)
        expect(r.sadd(k + "other", "b", "c", "d"), 3)
        expect(r.sinter(k, k + "other"), {"b", "c"})
        expect(r.sunionstore(k + "all", k, k + "other"), 4)
        expect(r.smismember(k, ["a", "z"]), [1, 0])
        expect(r.smove(k, k + "other", "a"), True)
        expect(r.spop(k) in ("b", "c"), True)
        expect(r.scard(k), 1)

    def write(self, r, k, n):
        r.sadd(k, n)

    def held(self, r, k, n):
        return bool(r.sismember(k, n))


class Geo:
    def use(self, r, k):
        expect(r.geoadd(k, (13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")), 2)
        expect(round(r.geodist(k, "Palermo", "Catania", unit="km")), 166)
        expect(r.geosearch(k, longitude=15, latitude=37, radius=100, unit="km"), ["Catania"])
        expect(r.geohash(k, "Palermo"), ["sqc8b49rny0"])

    def write(self, r, k, n):
        r.geoadd(k, (n % 180, 0, f"m{n}"))

    def held(self, r, k, n):
        return r.geopos(k, f"m{n}")[0] is not None


class HyperLogLogs:
    def use(self, r, k):
        expect(r.pfadd(k, "a", "b", "c"), 1)
        expect(r.pfadd(k, "c"), 0)
        expect(r.pfadd(k + "other", "d"), 1)
        expect(r.pfmerge(k + "all", k, k + "other"), True)
        expect(r.pfcount(k + "all"), 4)

    def write(self, r, k, n):
        r.pfadd(f"{k}{n}", n)

    def held(self, r, k, n):
        return r.pfcount(f"{k}{n}") == 1


class Transactions:
    """The cluster client has no transactions: they go to the node that has the keys."""

    def node(self, r, k):
        return r.get_redis_connection(r.get_node_from_key(k))

    def use(self, r, k):
        r.set(k, 1)
        node = self.node(r, k)
        with node.pipeline(transaction=True) as tx:
            tx.incr(k)
            tx.hset(k + "h", "f", "v")
            expect(tx.execute(), [2, 1])
        with node.pipeline(transaction=True) as tx:
            tx.watch(k)
            r.set(k, 7)  # by another connection
            tx.multi()
            tx.set(k, 8)
            try:
                tx.execute()
                raise AssertionError("WATCH has not seen the change")
            except RedisError as e:
                expect(type(e).__name__, "WatchError")
        expect(r.get(k), "7")

    def write(self, r, k, n):
        r.exists(k)  # leads to the node that has it now
        with self.node(r, k).pipeline(transaction=True) as tx:
            tx.set(f"{k}a{n}", n)
            tx.set(f"{k}b{n}", n)
            tx.execute()

    def held(self, r, k, n):
        return r.mget(f"{k}a{n}", f"{k}b{n}") == [str(n), str(n)]


class Blocking:
    def use(self, r, k):
        expect(r.blpop([k], 0.05), None)
        threading.Timer(0.05, r.rpush, [k, "a"]).start()
        expect(r.blpop([k], PATIENCE), (k, "a"))
        r.zadd(k + "z", {"a": 1, "b": 2})
        expect(r.bzpopmax([k + "z"], PATIENCE), (k + "z", "b", 2.0))

    def write(self, r, k, n):
        r.rpush(f"{k}{n}", n)
        r.blmove(f"{k}{n}", f"{k}to{n}", PATIENCE)

    def held(self, r, k, n):
        return str(n) in r.lrange(f"{k}to{n}", 0, -1)


FAMILIES = {
    "strings": Strings(),
    "hashes": Hashes(),
    "sortedsets": SortedSets(),
    "lists": Lists(),
    "streams": Streams(),
    "sets": Sets(),
    "geo": Geo(),
    "hyperloglogs": HyperLogLogs(),
    "transactions": Transactions(),
    "blocking": Blocking(),
}


def again(act):
    """act, until the cluster has a new master. It may run more than once."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return act()
        except (RedisError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def main(addresses, names):
    logging.disable()  # a node fails on purpose
    r = connect(addresses)
    for name in names:
        FAMILIES[name].use(r, f"{RUN}:{{{name}}}:before:")
    written = {name: [] for name in names}
    n = 0
    while again(lambda: r.get("clients:stop")) is None:
        for name in names:
            key = f"{RUN}:{{{name}{n % 8}}}:"
            again(lambda: FAMILIES[name].write(r, key, n))
            written[name].append((key, n))
        n += 1
        time.sleep(0.005)  # what matters is what happens to writes, not their number
        if n == 10:
            print("ready", flush=True)
    for name in names:
        for key, number in written[name]:
            if not again(lambda: FAMILIES[name].held(r, key, number)):
                raise AssertionError(f"{name}: {key} has lost {number}")
        FAMILIES[name].use(r, f"{RUN}:{{{name}}}:after:")
        print(f"{name}: {len(written[name])} writes held")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or list(FAMILIES))
