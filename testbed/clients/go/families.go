package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// family is what the program does with a family of commands.
type family struct {
	name string
	// use plays its commands once, on keys that begin with k.
	use func(ctx context.Context, r *redis.ClusterClient, k string, c *checks)
	// write writes number n, and may be repeated: go-redis asks again by itself when a
	// connection breaks. held says whether that write is there.
	write func(ctx context.Context, r *redis.ClusterClient, k string, n int) error
	held  func(ctx context.Context, r *redis.ClusterClient, k string, n int) (bool, error)
}

// choose returns the families of these names, all if there are none.
func choose(names []string) ([]family, error) {
	all := []family{
		{"strings", useStrings, writeString, heldString},
		{"hashes", useHashes, writeHash, heldHash},
		{"sortedsets", useSortedSets, writeSortedSet, heldSortedSet},
		{"lists", useLists, writeList, heldList},
		{"streams", useStreams, writeStream, heldStream},
		{"sets", useSets, writeSet, heldSet},
		{"geo", useGeo, writeGeo, heldGeo},
		{"hyperloglogs", useHyperLogLogs, writeHyperLogLog, heldHyperLogLog},
		{"transactions", useTransactions, writeTransaction, heldTransaction},
		{"blocking", useBlocking, writeBlocking, heldBlocking},
	}
	if len(names) == 0 {
		return all, nil
	}
	var chosen []family
	for _, name := range names {
		i := slices.IndexFunc(all, func(f family) bool { return f.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no family %s", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// check is c.equal for a command's two results; go-redis's commands have a Result each.
func check[T any](c *checks, want any, result func() (T, error)) {
	got, err := result()
	c.equal(got, err, want)
}

func key(k string, n int) string { return k + strconv.Itoa(n) }

func useStrings(ctx context.Context, r *redis.ClusterClient, k string, c *checks) {
	check(c, "OK", r.Set(ctx, k, "hello", 0).Result)
	check(c, 11, r.Append(ctx, k, " world").Result)
	check(c, "world", r.GetRange(ctx, k, 6, -1).Result)
	check(c, false, r.SetNX(ctx, k, "x", 0).Result)
	check(c, 41, r.IncrBy(ctx, k+"n", 41).Result)
	check(c, 42.5, r.IncrByFloat(ctx, k+"n", 1.5).Result)
	check(c, "OK", r.MSet(ctx, k+"a", 1, k+"b", 2).Result)
	check(c, []any{"1", nil, "2"}, r.MGet(ctx, k+"a", k+"none", k+"b").Result)
	check(c, 0, r.SetBit(ctx, k+"bits", 7, 1).Result)
	check(c, 1, r.BitCount(ctx, k+"bits", nil).Result)
	check(c, true, r.Expire(ctx, k, time.Minute).Result)
	ttl, err := r.TTL(ctx, k).Result()
	c.equal(0 < ttl && ttl <= time.Minute, err, true)
	check(c, 2, r.Del(ctx, k, k+"a").Result)
}

func writeString(ctx context.Context, r *redis.ClusterClient, k string, n int) error {
	return r.Set(ctx, key(k, n), n, 0).Err()
}

func heldString(ctx context.Context, r *redis.ClusterClient, k string, n int) (bool, error) {
	got, err := r.Exists(ctx, key(k, n)).Result()
	return got == 1, err
}

func useHashes(ctx context.Context, r *redis.ClusterClient, k string, c *checks) {
	check(c, 2, r.HSet(ctx, k, "name", "Ada", "year", 1815).Result)
	check(c, 1852, r.HIncrBy(ctx, k, "year", 37).Result)
	check(c, map[string]string{"name": "Ada", "year": "1852"}, r.HGetAll(ctx, k).Result)
	check(c, []any{"Ada", nil}, r.HMGet(ctx, k, "name", "none").Result)
	check(c, []int64{1}, r.HExpire(ctx, k, time.Minute, "name").Result)
	check(c, []int64{1, -1}, r.HPersist(ctx, k, "name", "year").Result)
	check(c, 1, r.HDel(ctx, k, "name", "none").Result)
	check(c, []string{"year"}, r.HKeys(ctx, k).Result)
}

func writeHash(ctx context.Context, r *redis.ClusterClient, k string, n int) error {
	return r.HSet(ctx, k, key("f", n), n).Err()
}

func heldHash(ctx context.Context, r *redis.ClusterClient, k string, n int) (bool, error) {
	return r.HExists(ctx, k, key("f", n)).Result()
}

func useSortedSets(ctx context.Context, r *redis.ClusterClient, k string, c *checks) {
	check(c, 3, r.ZAdd(ctx, k, redis.Z{Score: 1, Member: "a"}, redis.Z{Score: 2, Member: "b"}, redis.Z{Score: 3, Member: "c"}).Result)
	check(c, 6, r.ZIncrBy(ctx, k, 5, "a").Result)
	check(c, []redis.Z{{Score: 2, Member: "b"}, {Score: 3, Member: "c"}, {Score: 6, Member: "a"}}, r.ZRangeWithScores(ctx, k, 0, -1).Result)
	check(c, []string{"c", "a"}, r.ZRangeArgs(ctx, redis.ZRangeArgs{Key: k, Start: "(2", Stop: "+inf", ByScore: true}).Result)
	check(c, redis.RankScore{Rank: 2, Score: 6}, r.ZRankWithScore(ctx, k, "a").Result)
	check(c, 2, r.ZRangeStore(ctx, k+"copy", redis.ZRangeArgs{Key: k, Start: 0, Stop: 1}).Result)
	check(c, 2, r.ZInterStore(ctx, k+"both", &redis.ZStore{Keys: []string{k, k + "copy"}}).Result)
	check(c, []redis.Z{{Score: 2, Member: "b"}}, r.ZPopMin(ctx, k).Result)
	check(c, 2, r.ZCard(ctx, k).Result)
}

func writeSortedSet(ctx context.Context, r *redis.ClusterClient, k string, n int) error {
	return r.ZAdd(ctx, k, redis.Z{Score: float64(n), Member: n}).Err()
}

func heldSortedSet(ctx context.Context, r *redis.ClusterClient, k string, n int) (bool, error) {
	got, err := r.ZCount(ctx, k, strconv.Itoa(n), strconv.Itoa(n)).Result()
	return got == 1, err
}

func useLists(ctx context.Context, r *redis.ClusterClient, k string, c *checks) {
	check(c, 3, r.RPush(ctx, k, "b", "c", "d").Result)
	check(c, 4, r.LPush(ctx, k, "a").Result)
	check(c, 5, r.LInsertBefore(ctx, k, "c", "x").Result)
	check(c, []string{"a", "b", "x", "c", "d"}, r.LRange(ctx, k, 0, -1).Result)
	check(c, 2, r.LPos(ctx, k, "x", redis.LPosArgs{}).Result)
	check(c, 1, r.LRem(ctx, k, 0, "x").Result)
	check(c, "a", r.LMove(ctx, k, k+"other", "LEFT", "RIGHT").Result)
	check(c, []string{"b", "c"}, r.LPopCount(ctx, k, 2).Result)
	check(c, 1, r.LLen(ctx, k).Result)
	check(c, "OK", r.LTrim(ctx, k, 1, 0).Result)
	check(c, 0, r.Exists(ctx, k).Result)
}

func writeList(ctx context.Context, r *redis.ClusterClient, k string, n int) error {
	return r.RPush(ctx, k, n).Err()
}

func heldList(ctx context.Context, r *redis.ClusterClient, k string, n int) (bool, error) {
	all, err := r.LRange(ctx, k, 0, -1).Result()
	return slices.Contains(all, strconv.Itoa(n)), err
}

func useStreams(ctx context.Context, r *redis.ClusterClient, k string, c *checks) {
	entry := func(id, field, value string) redis.XMessage {
		return redis.XMessage{ID: id, Values: map[string]any{field: value}}
	}
	check(c, "1-1", r.XAdd(ctx, &redis.XAddArgs{Stream: k, ID: "1-1", Values: []string{"a", "1"}}).Result)
	check(c, "1-2", r.XAdd(ctx, &redis.XAddArgs{Stream: k, ID: "1-2", Values: []string{"b", "2"}}).Result)
	check(c, []redis.XMessage{entry("1-1", "a", "1"), entry("1-2", "b", "2")}, r.XRange(ctx, k, "-", "+").Result)
	check(c, "OK", r.XGroupCreate(ctx, k, "g", "0").Result)
	read := &redis.XReadGroupArgs{Group: "g", Consumer: "c", Streams: []string{k, ">"}, Count: 1, Block: time.Second}
	check(c, []redis.XStream{{Stream: k, Messages: []redis.XMessage{entry("1-1", "a", "1")}}}, r.XReadGroup(ctx, read).Result)
	check(c, 1, r.XAck(ctx, k, "g", "1-1").Result)
	time.AfterFunc(50*time.Millisecond, func() { r.XAdd(ctx, &redis.XAddArgs{Stream: k, ID: "1-3", Values: []string{"c", "3"}}) })
	wait := &redis.XReadArgs{Streams: []string{k, "1-2"}, Block: patience}
	check(c, []redis.XStream{{Stream: k, Messages: []redis.XMessage{entry("1-3", "c", "3")}}}, r.XRead(ctx, wait).Result)
	check(c, 2, r.XTrimMaxLen(ctx, k, 1).Result)
	check(c, 1, r.XLen(ctx, k).Result)
}

func writeStream(ctx context.Context, r *redis.ClusterClient, k string, n int) error {
	return r.XAdd(ctx, &redis.XAddArgs{Stream: k, Values: []any{"n", n}}).Err()
}

func heldStream(ctx context.Context, r *redis.ClusterClient, k string, n int) (bool, error) {
	all, err := r.XRange(ctx, k, "-", "+").Result()
	return slices.ContainsFunc(all, func(m redis.XMessage) bool { return m.Values["n"] == strconv.Itoa(n) }), err
}

func useSets(ctx context.Context, r *redis.ClusterClient, k string, c *checks) {
	check(c, 3, r.SAdd(ctx, k, "a", "b", "c").Result)
	check(c, 3, r.SAdd(ctx, k+"other", "b", "c", "d").Result)
	both, err := r.SInter(ctx, k, k+"other").Result()
	slices.Sort(both)
	c.equal(both, err, []string{"b", "c"})
	check(c, 4, r.SUnionStore(ctx, k+"all", k, k+"other").Result)
	check(c, []bool{true, false}, r.SMIsMember(ctx, k, "a", "z").Result)
	check(c, true, r.SMove(ctx, k, k+"other", "a").Result)
	popped, err := r.SPop(ctx, k).Result()
	c.equal(popped == "b" || popped == "c", err, true)
	check(c, 1, r.SCard(ctx, k).Result)
}

func writeSet(ctx context.Context, r *redis.ClusterClient, k string, n int) error {
	return r.SAdd(ctx, k, n).Err()
}

func heldSet(ctx context.Context, r *redis.ClusterClient, k string, n int) (bool, error) {
	return r.SIsMember(ctx, k, n).Result()
}

func useGeo(ctx context.Context, r *redis.ClusterClient, k string, c *checks) {
	check(c, 2, r.GeoAdd(ctx, k,
		&redis.GeoLocation{Name: "Palermo", Longitude: 13.361389, Latitude: 38.115556},
		&redis.GeoLocation{Name: "Catania", Longitude: 15.087269, Latitude: 37.502669}).Result)
	distance, err := r.GeoDist(ctx, k, "Palermo", "Catania", "km").Result()
	c.equal(math.Round(distance), err, 166)
	check(c, []string{"Catania"}, r.GeoSearch(ctx, k, &redis.GeoSearchQuery{Longitude: 15, Latitude: 37, Radius: 100, RadiusUnit: "km"}).Result)
	check(c, []string{"sqc8b49rny0"}, r.GeoHash(ctx, k, "Palermo").Result)
}

func writeGeo(ctx context.Context, r *redis.ClusterClient, k string, n int) error {
	return r.GeoAdd(ctx, k, &redis.GeoLocation{Name: strconv.Itoa(n), Longitude: float64(n % 180)}).Err()
}

func heldGeo(ctx context.Context, r *redis.ClusterClient, k string, n int) (bool, error) {
	at, err := r.GeoPos(ctx, k, strconv.Itoa(n)).Result()
	return err == nil && at[0] != nil, err
}

func useHyperLogLogs(ctx context.Context, r *redis.ClusterClient, k string, c *checks) {
	check(c, 1, r.PFAdd(ctx, k, "a", "b", "c").Result)
	check(c, 0, r.PFAdd(ctx, k, "c").Result)
	check(c, 1, r.PFAdd(ctx, k+"other", "d").Result)
	check(c, "OK", r.PFMerge(ctx, k+"all", k, k+"other").Result)
	check(c, 4, r.PFCount(ctx, k+"all").Result)
}

func writeHyperLogLog(ctx context.Context, r *redis.ClusterClient, k string, n int) error {
	return r.PFAdd(ctx, key(k, n), n).Err()
}

func heldHyperLogLog(ctx context.Context, r *redis.ClusterClient, k string, n int) (bool, error) {
	got, err := r.PFCount(ctx, key(k, n)).Result()
	return got == 1, err
}

func useTransactions(ctx context.Context, r *redis.ClusterClient, k string, c *checks) {
	check(c, "OK", r.Set(ctx, k, 1, 0).Result)
	var number, field *redis.IntCmd
	_, err := r.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		number, field = tx.Incr(ctx, k), tx.HSet(ctx, k+"h", "f", "v")
		return nil
	})
	c.equal([]int64{number.Val(), field.Val()}, err, []int64{2, 1})
	err = r.Watch(ctx, func(tx *redis.Tx) error {
		check(c, "OK", r.Set(ctx, k, 7, 0).Result) // by another connection
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Set(ctx, k, 8, 0).Err() })
		return err
	}, k)
	c.equal(err, nil, redis.TxFailedErr)
	check(c, "7", r.Get(ctx, k).Result)
}

func writeTransaction(ctx context.Context, r *redis.ClusterClient, k string, n int) error {
	_, err := r.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.Set(ctx, key(k+"a", n), n, 0)
		tx.Set(ctx, key(k+"b", n), n, 0)
		return nil
	})
	return err
}

func heldTransaction(ctx context.Context, r *redis.ClusterClient, k string, n int) (bool, error) {
	got, err := r.Exists(ctx, key(k+"a", n), key(k+"b", n)).Result()
	return got == 2, err
}

func useBlocking(ctx context.Context, r *redis.ClusterClient, k string, c *checks) {
	check(c, nil, r.BLPop(ctx, time.Second, k).Result)
	pushed := make(chan error, 1)
	time.AfterFunc(50*time.Millisecond, func() { pushed <- r.RPush(ctx, k, "a").Err() })
	check(c, []string{k, "a"}, r.BLPop(ctx, patience, k).Result)
	c.equal(nil, <-pushed, nil)
	check(c, 2, r.ZAdd(ctx, k+"z", redis.Z{Score: 1, Member: "a"}, redis.Z{Score: 2, Member: "b"}).Result)
	check(c, &redis.ZWithKey{Z: redis.Z{Score: 2, Member: "b"}, Key: k + "z"}, r.BZPopMax(ctx, patience, k+"z").Result)
}

func writeBlocking(ctx context.Context, r *redis.ClusterClient, k string, n int) error {
	if err := r.RPush(ctx, key(k, n), n).Err(); err != nil {
		return err
	}
	return r.BLMove(ctx, key(k, n), key(k+"to", n), "LEFT", "RIGHT", patience).Err()
}

func heldBlocking(ctx context.Context, r *redis.ClusterClient, k string, n int) (bool, error) {
	all, err := r.LRange(ctx, key(k+"to", n), 0, -1).Result()
	return slices.Contains(all, strconv.Itoa(n)), err
}
