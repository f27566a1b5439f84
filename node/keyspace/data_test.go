package keyspace

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/genuineh/aikv/node/storage"
)

// TestTransactions runs testdata/*.txt. The commands of a file work on one
// keyspace; "reopen" opens what its store holds anew. "tx" runs its lines in a
// write transaction and commits ("discard": drops) it, "view local=T" in a view;
// at the end it says what Err is, and for a view whether it is behind.
func TestTransactions(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		store := storage.NewMemory()
		ks := open(t, store)
		views := make(map[string]*View)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "tx":
				return runTx(ks, d)
			case "view":
				var local int64
				if d.HasArg("local") {
					d.ScanArgs(t, "local", &local)
				}
				view := ks.View(local)
				defer view.Close()
				return runView(view, d.Input)
			case "hold":
				views[d.CmdArgs[0].Key] = ks.View(0)
				return ""
			case "held":
				return runView(views[d.CmdArgs[0].Key], d.Input)
			case "release":
				views[d.CmdArgs[0].Key].Close()
				return ""
			case "empty":
				return runView(Empty(), d.Input)
			case "state":
				checkInvariants(t, ks)
				at, ok := ks.NextExpiry()
				return fmt.Sprintf("applied %d, clock %d, keys %d, next expiry %d %v\n",
					ks.Applied(), ks.Clock(), ks.Len(), at, ok)
			case "records":
				return dumpRecords(t, ks)
			case "reopen":
				checkpoint(t, ks)
				store = store.Clone()
				ks = open(t, store)
				return ""
			}
			return "unknown command " + d.Cmd
		})
	})
}

func runTx(ks *Keyspace, d *datadriven.TestData) string {
	var out strings.Builder
	tx := ks.Begin()
	defer tx.Discard()
	runLines(&out, tx, tx, d.Input)
	if d.HasArg("discard") {
		return out.String()
	}
	if err := tx.Commit(); err != nil {
		fmt.Fprintf(&out, "commit: %v\n", err)
	}
	return out.String()
}

func runView(view *View, input string) string {
	var out strings.Builder
	runLines(&out, nil, view, input)
	if view.Behind() {
		out.WriteString("behind\n")
	}
	if err := view.Err(); err != nil {
		fmt.Fprintf(&out, "error: %v\n", err)
	}
	return out.String()
}

// runLines runs lines on a view, or with tx on that.
func runLines(out *strings.Builder, tx *Tx, view reader, input string) {
	for line := range strings.Lines(input) {
		runLine(out, tx, view, strings.Fields(line))
	}
}

func runLine(out *strings.Builder, tx *Tx, view reader, f []string) {
	number := func(i int) (n int64) {
		if _, err := fmt.Sscan(f[i], &n); err != nil {
			panic(err)
		}
		return n
	}
	show := func(key []byte, m Meta) {
		fmt.Fprintf(out, "%s=%s %s expire=%d version=%d.%d size=%d\n",
			key, m.Value, m.Type, m.ExpireAt, m.Version.Index, m.Version.Op, m.Size)
	}
	switch f[0] {
	case "entry":
		tx.StartEntry(uint64(number(1)), number(2))
		fmt.Fprintf(out, "now %d\n", tx.Now())
	case "set":
		tx.SetString([]byte(f[1]), []byte(f[2]), number(3))
	case "get":
		if m, ok := view.Lookup([]byte(f[1])); ok {
			show([]byte(f[1]), m)
		} else {
			fmt.Fprintf(out, "%s is not there\n", f[1])
		}
	case "del":
		fmt.Fprintf(out, "deleted %s: %v\n", f[1], tx.Delete([]byte(f[1])))
	case "expire":
		fmt.Fprintf(out, "expire %s: %v\n", f[1], tx.SetExpire([]byte(f[1]), number(2)))
	case "rename":
		fmt.Fprintf(out, "rename %s: %v\n", f[1], tx.Rename([]byte(f[1]), []byte(f[2])))
	case "copy":
		fmt.Fprintf(out, "copy %s: %v\n", f[1], tx.Copy([]byte(f[1]), []byte(f[2])))
	case "peek": // the reading half
		if m, ok := tx.View.Lookup([]byte(f[1])); ok {
			show([]byte(f[1]), m)
		} else {
			fmt.Fprintf(out, "%s is not there\n", f[1])
		}
	case "sweep":
		fmt.Fprintf(out, "swept %d\n", tx.DeleteExpired(int(number(1))))
	case "flush":
		tx.Flush()
	case "len":
		fmt.Fprintf(out, "%d keys\n", view.Len())
	case "slot":
		s := uint16(number(1))
		fmt.Fprintf(out, "slot %d: %d keys: %s\n", s, view.LenSlot(s), view.KeysInSlot(s, int(number(2))))
	case "each":
		view.Each(func(key []byte, m Meta) bool { show(key, m); return true })
	case "scan":
		next := view.Scan(uint64(number(1)), int(number(2)), func(key []byte, m Meta) { fmt.Fprintf(out, "%s ", key) })
		fmt.Fprintf(out, "next %d\n", next)
	case "name":
		value := []byte(f[2])
		if f[2] == "nil" {
			value = nil
		}
		tx.PutMeta(f[1], value)
	case "named":
		value, err := view.Meta(f[1])
		fmt.Fprintf(out, "%s: %q %v\n", f[1], value, err)
	default:
		panic(f[0])
	}
}

// dumpRecords shows the records that the keyspace is made of, as doc.go lays them
// out.
func dumpRecords(t *testing.T, ks *Keyspace) string {
	t.Helper()
	var out strings.Builder
	_, it, err := ks.Export()
	if err != nil {
		t.Fatal(err)
	}
	defer it.Release()
	for it.Next() {
		key := it.Key()
		header := 1
		switch key[0] {
		case classCount:
			header = 3
		case classKey:
			header = keyHeader
		case classExpiry:
			header = expiryHeader
		}
		fmt.Fprintf(&out, "%x %s = %q\n", key[:header], key[header:], it.Value())
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(out.String(), "  =", " =")
}
