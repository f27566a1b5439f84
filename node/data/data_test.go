package data

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/resp"
)

// Commands on strings refuse hashes, sorted sets and lists, as Redis does; those on keys
// do not care, and what sets a whole string overwrites anything.
func TestWrongType(t *testing.T) {
	b := commandtest.New(t, Commands())
	fill := func() {
		tx := b.Begin()
		defer tx.Discard()
		tx.SetString([]byte("{k}s"), []byte("text"), 0)
		for _, key := range []string{"{k}h", "{k}z", "{k}l"} {
			tx.Delete([]byte(key))
		}
		l, err := tx.List([]byte("{k}l"))
		if err != nil {
			t.Fatal(err)
		}
		l.PushBack([]byte("e"))
		h, err := tx.Hash([]byte("{k}h"))
		if err != nil {
			t.Fatal(err)
		}
		h.Set([]byte("f"), []byte("v"), 0)
		z, err := tx.SortedSet([]byte("{k}z"))
		if err != nil {
			t.Fatal(err)
		}
		z.Set([]byte("m"), 1)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{
		"get K", "getset K v", "getdel K", "getex K", "getex K persist", "append K v", "strlen K", "getrange K 0 -1",
		"substr K 0 -1", "setrange K 1 v", "incr K", "decr K", "incrby K 1", "decrby K 1", "incrbyfloat K 1",
		"set K v get", "setbit K 1 1", "getbit K 1", "bitcount K", "bitpos K 1", "bitop and {k}d K", "bitop not {k}d K",
		"bitfield K set u8 0 1", "bitfield K get u8 0", "bitfield_ro K get u8 0",
	} {
		for _, key := range []string{"{k}h", "{k}z", "{k}l"} {
			fill()
			line := strings.ReplaceAll(line, "K", key)
			if v := b.Do(line); !strings.HasPrefix(string(v.Str), "WRONGTYPE ") {
				t.Errorf("%s: %s", line, resp.FormatCLI(v, false))
			}
		}
	}
	const wrong = "(error) WRONGTYPE Operation against a key holding the wrong kind of value"
	for line, want := range map[string]string{
		"type {k}h": "hash", "type {k}l": "list", "object encoding {k}l": `"listpack"`, "type {k}z": "zset", "mget {k}h {k}s": "1) (nil)\n2) \"text\"",
		"object encoding {k}h": `"listpack"`, "object encoding {k}z": `"listpack"`, "object encoding {k}s": `"embstr"`,
		"setnx {k}h v": "(integer) 0", "exists {k}h {k}z": "(integer) 2", "expire {k}h 10": "(integer) 1",
		"set {k}h v": "OK", "setex {k}z 10 v": "OK", "mset {k}h v": "OK", "bitop not {k}h {k}s": "(integer) 4",
		"scan 0 type hash": "1) \"0\"\n2) 1) \"{k}h\"", "scan 0 type zset": "1) \"0\"\n2) 1) \"{k}z\"",
		"scan 0 type list": "1) \"0\"\n2) 1) \"{k}l\"", "lrange {k}h 0 -1": wrong, "lpush {k}z a": wrong, "hset {k}l f v": wrong, "zadd {k}l 1 m": wrong,
		"memory usage {k}h": "(integer) 57", "rename {k}h {k}s": "OK", "copy {k}z {k}h replace": "(integer) 1",
		"del {k}h {k}z": "(integer) 2",
	} {
		fill()
		if got := strings.TrimSpace(resp.FormatCLI(b.Do(line), true)); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

// The families are pure: what they do depends on their arguments and the state alone.
// Nothing here knows the types of a package's values, so that a map is ranged over is
// found only where the map is made or declared in the same file: a composite literal,
// make, a variable, a parameter or a field.
func TestFamiliesArePure(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, why := range impurities(file) {
			t.Errorf("%s: %s", path, why)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestImpurities: the test above finds what it forbids.
func TestImpurities(t *testing.T) {
	for _, c := range []struct {
		want int
		body string
	}{
		{1, `import "time"`},
		{1, `import "math/rand/v2"`},
		{1, `import "sync/atomic"`},
		{1, `func f() { go f() }`},
		{1, `func f() { select {} }`},
		{1, `func f(c chan int) { c <- 1 }`},
		{1, `func f(m map[int]int) { for range m {} }`},
		{1, `func f() { m := map[int]int{}; for k := range m { _ = k } }`},
		{1, `func f() { m := make(map[int]int); for k := range m { _ = k } }`},
		{1, `func f() { var m map[int]int; for k := range m { _ = k } }`},
		{1, `type s struct { m map[int]int }; func f(x s) { for range x.m {} }`},
		{1, `import "maps"; func f(m map[int]int) { for range maps.Keys(m) {} }`},
		{0, `func f(m map[int]int, l []int) { for _, x := range l { _ = m[x] }; for range 5 {} }`},
		{0, `import "math"; func f() { _ = math.MaxInt }`},
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "", "package p; "+c.body, 0)
		if err != nil {
			t.Fatal(err)
		}
		if found := impurities(file); len(found) != c.want {
			t.Errorf("%s: %q", c.body, found)
		}
	}
}

// impurities says what a file has that a family may not.
func impurities(file *ast.File) (found []string) {
	forbidden := []string{"context", "crypto/rand", "io", "maps", "math/rand", "math/rand/v2", "net", "os", "runtime", "sync", "sync/atomic", "syscall", "time", "unsafe"}
	for _, spec := range file.Imports {
		if name, _ := strconv.Unquote(spec.Path.Value); slices.Contains(forbidden, name) {
			found = append(found, "it imports "+name)
		}
	}
	isMaps := mapNames(file)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, "it starts a goroutine")
		case *ast.SelectStmt, *ast.SendStmt:
			found = append(found, "it uses channels")
		case *ast.RangeStmt:
			switch x := n.X.(type) {
			case *ast.Ident:
				if isMaps[x.Name] {
					found = append(found, "it ranges over the map "+x.Name)
				}
			case *ast.SelectorExpr:
				if isMaps[x.Sel.Name] {
					found = append(found, "it ranges over the map "+x.Sel.Name)
				}
			case *ast.CompositeLit:
				if _, ok := x.Type.(*ast.MapType); ok {
					found = append(found, "it ranges over a map")
				}
			}
		}
		return true
	})
	return found
}

// mapNames returns the names in a file that are known to be maps.
func mapNames(file *ast.File) map[string]bool {
	names := make(map[string]bool)
	isMap := func(e ast.Expr) bool {
		switch e := e.(type) {
		case *ast.MapType:
			return true
		case *ast.CompositeLit:
			_, ok := e.Type.(*ast.MapType)
			return ok
		case *ast.CallExpr:
			if f, ok := e.Fun.(*ast.Ident); ok && f.Name == "make" {
				_, ok := e.Args[0].(*ast.MapType)
				return ok
			}
		}
		return false
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			for _, name := range n.Names {
				names[name.Name] = names[name.Name] || isMap(n.Type)
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				names[name.Name] = names[name.Name] || isMap(n.Type) || i < len(n.Values) && isMap(n.Values[i])
			}
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				if name, ok := left.(*ast.Ident); ok && i < len(n.Rhs) {
					names[name.Name] = names[name.Name] || isMap(n.Rhs[i])
				}
			}
		}
		return true
	})
	return names
}
