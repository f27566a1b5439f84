package admin

import (
	"context"
	"strconv"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/migrate"
	"github.com/genuineh/aikv/node/resp"
)

// migrateCommands returns MIGRATE's row.
func migrateCommands() []*command.Command {
	keys := command.KeyRW | command.KeyAccess | command.KeyDelete
	return []*command.Command{{
		Name: "migrate", Arity: -6, Flags: command.FlagWrite, ACL: command.CatKeyspace | command.CatDangerous,
		Secrets: migrateSecrets,
		Tips:    []string{"nondeterministic_output"},
		Keys: []command.KeySpec{
			{Flags: keys, Begin: 3, Really: migrateKeys},
			{Flags: keys | command.KeyIncomplete, Keyword: "KEYS", From: -2, Last: -1, Really: noKeys},
		},
		Doc: command.Doc{
			Usage:   `host port key|"" destination-db timeout [COPY] [REPLACE] [AUTH password|AUTH2 username password] [KEYS key [key ...]]`,
			Summary: "Moves keys to another Redis server.", Since: "2.6.0", Group: "generic",
			Complexity: "This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the target instance. See the pages of these commands for time complexity. Also an O(N) data transfer between the two instances is performed.",
		},
		Asks: true, OwnTime: true,
		Local: runMigrate,
	}}
}

// migrateKeys returns where the keys of a whole MIGRATE stand: one, or those behind KEYS.
func migrateKeys(args [][]byte) (first, last int, ok bool) {
	for i := 6; i < len(args); i++ {
		switch {
		case command.Is(args[i], "keys") && len(args[3]) > 0:
			return 1, 0, false
		case command.Is(args[i], "keys"):
			return i + 1, len(args) - 1, true
		case command.Is(args[i], "auth"):
			i++
		case command.Is(args[i], "auth2"):
			i += 2
		}
	}
	return 3, 3, true
}

func noKeys([][]byte) (first, last int, ok bool) { return 1, 0, true }

// migration is what MIGRATE has been asked for.
type migration struct {
	to            migrate.Target
	copy, replace bool
	keys          [][]byte
}

const (
	errKeysAndKey = resp.Error("ERR When using MIGRATE KEYS option, the key argument must be set to the empty string")
	errUnquiet    = resp.Error("TRYAGAIN The keys have changed while they were copied")
)

// takeMigrate takes MIGRATE's arguments, in Redis's order.
func takeMigrate(args *command.Args) (m migration, err error) {
	m.to.Host, m.to.Port = string(args.Next()), string(args.Next())
	key, db, timeout := args.Next(), args.Next(), args.Next()
	m.keys = [][]byte{key}
	for args.More() {
		switch {
		case args.Is("copy"):
			m.copy = true
		case args.Is("replace"):
			m.replace = true
		case args.IsWith("auth", 1):
			m.to.User, m.to.Password = nil, args.Next()
		case args.IsWith("auth2", 2):
			m.to.User, m.to.Password = args.Next(), args.Next()
		case args.Is("keys"):
			if len(key) > 0 {
				return m, errKeysAndKey
			}
			m.keys = args.Rest()
		default:
			return m, command.ErrSyntax
		}
	}
	ms, ok := command.ParseInt(timeout)
	if !ok {
		return m, command.ErrNotInteger
	}
	if m.to.DB, ok = command.ParseInt(db); !ok {
		return m, command.ErrNotInteger
	}
	if ms <= 0 {
		ms = 1000
	}
	const longest = 1 << 40 // ms, which no client waits
	m.to.Timeout = time.Duration(min(ms, longest)) * time.Millisecond
	return m, nil
}

// runMigrate copies keys to another server, and then deletes them. Writes to them wait
// meanwhile, so they are as they were copied; but the leadership of the shard may go to
// another node, so a key is only deleted if its version says the same. Until then
// it is this server that has it.
func runMigrate(ctx context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	m, err := takeMigrate(args)
	if err != nil {
		return err
	}
	if len(m.keys) == 0 {
		r.Simple("NOKEY")
		return nil
	}
	release, err := e.Hold(ctx, m.keys)
	if err != nil {
		return err
	}
	defer release()
	const attempts = 4 // a field of a hash may expire meanwhile, say
	for i := range attempts {
		copied, err := m.copyOut(e)
		switch {
		case err != nil:
			return err
		case len(copied) == 0 && i == 0:
			r.Simple("NOKEY")
			return nil
		case len(copied) == 0:
			r.OK() // the rest has expired
			return nil
		}
		changed, err := m.move(ctx, e, copied)
		switch {
		case err != nil:
			return err
		case !changed:
			r.OK()
			return nil
		}
		m.replace = true // what is there now is ours
	}
	return errUnquiet
}

// copied is a key as it was read, and its version in the form that command.Drop takes.
type copied struct {
	migrate.Key
	index, op []byte
}

// copyOut reads those of the keys that are there.
func (m *migration) copyOut(e *command.Env) (found []copied, err error) {
	v, err := e.OnData(command.CopyOut(m.keys))
	if err != nil {
		return nil, err
	}
	for i, key := range v.Elems {
		if f := key.Elems; len(f) == 4 {
			found = append(found, copied{
				Key:   migrate.Key{Name: m.keys[i], Payload: f[0].Str, TTL: f[1].Int, Replace: m.replace},
				index: strconv.AppendInt(nil, f[2].Int, 10), op: strconv.AppendInt(nil, f[3].Int, 10),
			})
		}
	}
	return found, nil
}

// move sends keys, and deletes those that are there now. changed says that some have changed
// meanwhile; these are still here.
func (m *migration) move(ctx context.Context, e *command.Env, keys []copied) (changed bool, err error) {
	sent := make([]migrate.Key, len(keys))
	for i := range keys {
		sent[i] = keys[i].Key
	}
	restored, failure := migrate.Send(ctx, m.to, sent)
	// gofail: var migrateRestored struct{}
	var gone [][]byte
	for i := range keys {
		if restored[i] && !m.copy {
			gone = append(gone, keys[i].Name, keys[i].index, keys[i].op)
		}
	}
	if len(gone) == 0 {
		return false, failure
	}
	dropped, err := e.OnData(command.Drop(gone))
	if err != nil {
		return false, err
	}
	for _, one := range dropped.Elems {
		changed = changed || one.Int == 0
	}
	return changed, failure
}

// migrateSecrets hides the password for the other server.
func migrateSecrets(args [][]byte, hide func(i int)) {
	for i := 6; i < len(args); i++ {
		switch {
		case command.Is(args[i], "auth"):
			hide(i + 1)
			i++
		case command.Is(args[i], "auth2"):
			hide(i + 1)
			hide(i + 2)
			i += 2
		case command.Is(args[i], "keys"):
			return
		}
	}
}
