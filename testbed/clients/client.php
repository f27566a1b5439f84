#!/usr/bin/env php
<?php
// AiKv from phpredis, with every family of commands, while a master dies.
//
//     client.php HOST:PORT,... [FAMILY ...]
//
// See README.md of this folder for what is proved, and connect() for what to copy.
declare(strict_types=1);

define('RUN', 'php:' . time()); // so that a second run has keys of its own
const PATIENCE = 60; // seconds, for one write to succeed while a master is replaced

/** A client that survives the loss of any one node. */
function connect(string $addresses): RedisCluster
{
    $connectSeconds = 1.0;
    $readSeconds = 5.0;
    return new RedisCluster(null, explode(',', $addresses), $connectSeconds, $readSeconds);
}

function expect(mixed $got, mixed $want): void
{
    if ($got !== $want) {
        throw new LogicException('got ' . var_export($got, true) . ', want ' . var_export($want, true));
    }
}

function sorted(array $values): array
{
    sort($values);
    return $values;
}

/** Each family: what is done with it once, a write that may be repeated, and whether it is there. */
function families(): array
{
    return [
        'strings' => [
            function (RedisCluster $r, string $k): void {
                expect($r->set($k, 'hello'), true);
                expect($r->append($k, ' world'), 11);
                expect($r->getRange($k, 6, -1), 'world');
                expect($r->set($k, 'x', ['nx']), false);
                expect($r->incrBy("{$k}n", 41), 41);
                expect($r->incrByFloat("{$k}n", 1.5), 42.5);
                expect($r->mset(["{$k}a" => '1', "{$k}b" => '2']), true);
                expect($r->mget(["{$k}a", "{$k}none", "{$k}b"]), ['1', false, '2']);
                expect($r->setBit("{$k}bits", 7, true), 0);
                expect($r->bitCount("{$k}bits"), 1);
                expect($r->expire($k, 100), true);
                expect($r->ttl($k) > 0 && $r->ttl($k) <= 100, true);
                expect($r->del($k, "{$k}a"), 2);
            },
            fn (RedisCluster $r, string $k, int $n) => $r->set("$k$n", (string)$n),
            fn (RedisCluster $r, string $k, int $n) => $r->get("$k$n") === (string)$n,
        ],
        'hashes' => [
            function (RedisCluster $r, string $k): void {
                expect($r->hMSet($k, ['name' => 'Ada', 'year' => '1815']), true);
                expect($r->hIncrBy($k, 'year', 37), 1852);
                expect($r->hGetAll($k), ['name' => 'Ada', 'year' => '1852']);
                expect($r->hMGet($k, ['name', 'none']), ['name' => 'Ada', 'none' => false]);
                // Expiry of fields is younger than this version of the library.
                expect($r->rawCommand($k, 'HEXPIRE', $k, '100', 'FIELDS', '1', 'name'), [1]);
                expect($r->rawCommand($k, 'HPERSIST', $k, 'FIELDS', '2', 'name', 'year'), [1, -1]);
                expect($r->hDel($k, 'name', 'none'), 1);
                $cursor = null;
                expect($r->hScan($k, $cursor), ['year' => '1852']);
            },
            fn (RedisCluster $r, string $k, int $n) => $r->hSet($k, "f$n", (string)$n),
            fn (RedisCluster $r, string $k, int $n) => $r->hGet($k, "f$n") === (string)$n,
        ],
        'sortedsets' => [
            function (RedisCluster $r, string $k): void {
                expect($r->zAdd($k, 1, 'a', 2, 'b', 3, 'c'), 3);
                expect($r->zIncrBy($k, 5, 'a'), 6.0);
                expect($r->zRange($k, 0, -1, true), ['b' => 2.0, 'c' => 3.0, 'a' => 6.0]);
                expect($r->zRangeByScore($k, '(2', '+inf'), ['c', 'a']);
                expect($r->zRank($k, 'a'), 2);
                expect($r->zInterStore("{$k}both", [$k, $k]), 3);
                expect($r->zPopMin($k), ['b' => 2.0]);
                expect($r->zCard($k), 2);
            },
            fn (RedisCluster $r, string $k, int $n) => $r->zAdd($k, $n, "m$n"),
            fn (RedisCluster $r, string $k, int $n) => $r->zScore($k, "m$n") === (float)$n,
        ],
        'lists' => [
            function (RedisCluster $r, string $k): void {
                expect($r->rPush($k, 'b', 'c', 'd'), 3);
                expect($r->lPush($k, 'a'), 4);
                expect($r->lInsert($k, 'before', 'c', 'x'), 5);
                expect($r->lRange($k, 0, -1), ['a', 'b', 'x', 'c', 'd']);
                expect($r->lRem($k, 'x', 0), 1);
                expect($r->rpoplpush($k, "{$k}other"), 'd');
                expect($r->lPop($k), 'a');
                expect($r->lLen($k), 2);
                expect($r->lTrim($k, 1, 0), true);
                expect($r->exists($k), 0);
            },
            fn (RedisCluster $r, string $k, int $n) => $r->rPush($k, (string)$n),
            fn (RedisCluster $r, string $k, int $n) => in_array((string)$n, $r->lRange($k, 0, -1), true),
        ],
        'streams' => [
            function (RedisCluster $r, string $k): void {
                expect($r->xAdd($k, '1-1', ['a' => '1']), '1-1');
                expect($r->xAdd($k, '1-2', ['b' => '2']), '1-2');
                expect($r->xRange($k, '-', '+'), ['1-1' => ['a' => '1'], '1-2' => ['b' => '2']]);
                expect($r->xGroup('CREATE', $k, 'g', '0'), true);
                expect($r->xReadGroup('g', 'c', [$k => '>'], 1), [$k => ['1-1' => ['a' => '1']]]);
                expect($r->xPending($k, 'g')[0], 1);
                expect($r->xAck($k, 'g', ['1-1']), 1);
                expect($r->xRead([$k => '1-1']), [$k => ['1-2' => ['b' => '2']]]);
                expect($r->xTrim($k, 1), 1);
                expect($r->xLen($k), 1);
            },
            fn (RedisCluster $r, string $k, int $n) => $r->xAdd($k, '*', ['n' => (string)$n]),
            fn (RedisCluster $r, string $k, int $n) => in_array(['n' => (string)$n], $r->xRange($k, '-', '+'), true),
        ],
        'sets' => [
            function (RedisCluster $r, string $k): void {
                expect($r->sAdd($k, 'a', 'b', 'c'), 3);
                expect($r->sAdd("{$k}other", 'b', 'c', 'd'), 3);
                expect(sorted($r->sInter($k, "{$k}other")), ['b', 'c']);
                expect($r->sUnionStore("{$k}all", $k, "{$k}other"), 4);
                expect($r->sIsMember($k, 'z'), false);
                expect($r->sMove($k, "{$k}other", 'a'), true);
                expect(in_array($r->sPop($k), ['b', 'c'], true), true);
                expect($r->sCard($k), 1);
            },
            fn (RedisCluster $r, string $k, int $n) => $r->sAdd($k, (string)$n),
            fn (RedisCluster $r, string $k, int $n) => $r->sIsMember($k, (string)$n),
        ],
        'geo' => [
            function (RedisCluster $r, string $k): void {
                expect($r->geoadd($k, 13.361389, 38.115556, 'Palermo', 15.087269, 37.502669, 'Catania'), 2);
                expect(round((float)$r->geodist($k, 'Palermo', 'Catania', 'km')), 166.0);
                expect($r->georadius($k, 15, 37, 100, 'km'), ['Catania']);
                expect($r->geohash($k, 'Palermo'), ['sqc8b49rny0']);
            },
            fn (RedisCluster $r, string $k, int $n) => $r->geoadd($k, $n % 180, 0, "m$n"),
            fn (RedisCluster $r, string $k, int $n) => is_array($r->geopos($k, "m$n")[0]),
        ],
        'hyperloglogs' => [
            function (RedisCluster $r, string $k): void {
                expect($r->pfadd($k, ['a', 'b', 'c']), true);
                expect($r->pfadd($k, ['c']), false);
                expect($r->pfadd("{$k}other", ['d']), true);
                expect($r->pfmerge("{$k}all", [$k, "{$k}other"]), true);
                expect($r->pfcount("{$k}all"), 4);
            },
            fn (RedisCluster $r, string $k, int $n) => $r->pfadd("$k$n", [(string)$n]),
            fn (RedisCluster $r, string $k, int $n) => $r->pfcount("$k$n") === 1,
        ],
        'transactions' => [
            function (RedisCluster $r, string $k): void {
                $r->set($k, '1');
                expect($r->multi()->incr($k)->hSet("{$k}h", 'f', 'v')->exec(), [2, 1]);
                $r->watch($k);
                connect($GLOBALS['argv'][1])->set($k, '7');
                // One false for each command: none of them was done.
                expect($r->multi()->set($k, '8')->exec(), [false]);
                expect($r->get($k), '7');
            },
            function (RedisCluster $r, string $k, int $n): void {
                $replies = $r->multi()->set("{$k}a$n", (string)$n)->set("{$k}b$n", (string)$n)->exec();
                if ($replies !== [true, true]) {
                    throw new RedisClusterException('the transaction was not done');
                }
            },
            fn (RedisCluster $r, string $k, int $n) => $r->mget(["{$k}a$n", "{$k}b$n"]) === [(string)$n, (string)$n],
        ],
        'blocking' => [
            function (RedisCluster $r, string $k): void {
                expect($r->blPop([$k], 1), []);
                $r->rPush($k, 'a');
                expect($r->blPop([$k], PATIENCE), [$k, 'a']);
                $r->zAdd("{$k}z", 1, 'a', 2, 'b');
                expect($r->bzPopMax(["{$k}z"], PATIENCE), ["{$k}z", 'b', '2']);
            },
            function (RedisCluster $r, string $k, int $n): void {
                $r->rPush("$k$n", (string)$n);
                $r->brpoplpush("$k$n", "{$k}to$n", PATIENCE);
            },
            fn (RedisCluster $r, string $k, int $n) => in_array((string)$n, $r->lRange("{$k}to$n", 0, -1), true),
        ],
    ];
}

/**
 * What $act returns, once the cluster has a new master. It may run more than once. An error reply, such as
 * CLUSTERDOWN, is no exception in phpredis: it is false and getLastError.
 */
function again(RedisCluster &$r, callable $act): mixed
{
    $deadline = microtime(true) + PATIENCE;
    while (true) {
        try {
            $r->clearLastError();
            $result = $act($r);
            $error = $r->getLastError();
            if ($error === null) {
                return $result;
            }
        } catch (RedisClusterException | RedisException $e) {
            $error = $e->getMessage();
        }
        if (microtime(true) > $deadline) {
            throw new RuntimeException($error);
        }
        usleep(50000);
        try {
            $r = connect($GLOBALS['argv'][1]); // and asks who serves which slot now
        } catch (RedisClusterException $e) {
            // Nobody answers yet.
        }
    }
}

function main(string $addresses, array $names): void
{
    $families = families();
    $names = $names ?: array_keys($families);
    $r = connect($addresses);
    foreach ($names as $name) {
        $families[$name][0]($r, RUN . ":{{$name}}:before:");
    }
    $written = array_fill_keys($names, []);
    for ($n = 0; again($r, fn ($r) => $r->get('clients:stop')) === false;) {
        foreach ($names as $name) {
            $key = RUN . ':{' . $name . $n % 8 . '}:';
            again($r, fn ($r) => $families[$name][1]($r, $key, $n));
            $written[$name][] = [$key, $n];
        }
        $n++;
        usleep(5000); // what matters is what happens to writes, not their number
        if ($n === 10) {
            echo "ready\n";
        }
    }
    foreach ($names as $name) {
        foreach ($written[$name] as [$key, $number]) {
            if (!again($r, fn ($r) => $families[$name][2]($r, $key, $number))) {
                throw new LogicException("$name: $key has lost $number");
            }
        }
        $families[$name][0]($r, RUN . ":{{$name}}:after:");
        echo "$name: ", count($written[$name]), " writes held\n";
    }
}

error_reporting(E_ALL & ~E_WARNING & ~E_DEPRECATED);
main($argv[1], array_slice($argv, 2));
