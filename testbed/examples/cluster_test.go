// Package examples holds what others can copy into their own projects.
package examples

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/genuineh/aikv/testbed/kit"
)

// An example to copy: a Go test of your own that wants a cluster. Once, run
//
//	go get -tool github.com/genuineh/aikv/node
//
// or have the environment's AIKV_BIN name the binary.
func TestWithACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six processes")
	}
	ctx := context.Background()
	cluster := kit.Start(t, kit.Options{}) // ready; stopped when the test ends
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: cluster.Addrs(),
		// By default the library looks once a minute who has taken a dead master over.
		ClusterStateReloadInterval: time.Second,
	})
	defer func() { _ = client.Close() }()

	if err := client.Set(ctx, "greeting", "hello", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := client.Get(ctx, "greeting").Result(); err != nil || got != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
}
