package command

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/genuineh/aikv/node/resp"
)

// Table holds all commands. It is immutable and may be used concurrently.
type Table struct {
	commands []*Command // by name; what clients see
	byName   map[string]*Command
	internal map[string]*Command
	rows     []*Command // all of commands and their subcommands
}

// maxName is longer than any name: a longer argument names no command.
const maxName = 32

// NewTable builds the table of the families' commands. It panics on rows that
// contradict the rules of Command: that is a mistake of the program. The rows belong
// to the table then. Names that begin with a byte 0 are those of internal commands.
// Several families may have subcommands of one container; the first describes it.
func NewTable(families ...[]*Command) *Table {
	t := &Table{byName: make(map[string]*Command), internal: make(map[string]*Command)}
	for _, family := range append(families, internalCommands()) {
		for _, c := range family {
			if c.internal() {
				t.add(t.internal, c)
				continue
			}
			if first := t.byName[c.Name]; first != nil && first.Subcommands != nil && c.Subcommands != nil {
				t.extend(first, c)
				continue
			}
			t.add(t.byName, c)
			t.commands = append(t.commands, c)
		}
	}
	slices.SortFunc(t.commands, func(a, b *Command) int { return strings.Compare(a.Name, b.Name) })
	for _, c := range t.commands {
		for _, row := range append([]*Command{c}, c.Subcommands...) {
			row.index = len(t.rows)
			t.rows = append(t.rows, row)
		}
	}
	return t
}

// internal reports whether clients cannot name the command: the node itself does.
func (c *Command) internal() bool { return c.Name[0] == 0 }

// extend adds the subcommands of more to a container that another family has as well.
func (t *Table) extend(c, more *Command) {
	for _, sub := range more.Subcommands {
		sub.parent = c
		t.add(c.subs, sub)
	}
	c.Subcommands = slices.Concat(c.Subcommands, more.Subcommands)
	slices.SortFunc(c.Subcommands, func(a, b *Command) int { return strings.Compare(a.Name, b.Name) })
}

func (t *Table) add(into map[string]*Command, c *Command) {
	if into[c.Name] != nil {
		panic("command: two rows named " + c.Name)
	}
	into[c.Name] = c
	c.check()
	if c.Subcommands == nil {
		return
	}
	c.subs = make(map[string]*Command)
	for _, sub := range c.Subcommands {
		sub.parent = c
		t.add(c.subs, sub)
	}
}

// check panics if the row contradicts the rules of Command.
func (c *Command) check() {
	handlers := 0
	for _, set := range []bool{c.Read != nil, c.Write != nil, c.Local != nil} {
		if set {
			handlers++
		}
	}
	byArguments := c.Read != nil && c.Write != nil && (c.Writes != nil) != (c.Blocks != nil)
	switch {
	case handlers == 1 && c.Writes == nil, handlers == 2 && byArguments, handlers == 0 && c.Subcommands != nil:
	case handlers == 0 && c.Multi.frontEnds():
	default:
		panic("command: " + c.Name + " needs exactly one handler, or Read, Write, and Writes or Blocks")
	}
	if len(c.Name) >= maxName || c.Name != strings.ToLower(c.Name) {
		panic("command: bad name " + c.Name)
	}
}

// Commands returns the rows that clients can call, by name. Do not change it.
func (t *Table) Commands() []*Command { return t.commands }

// Rows returns the rows of Commands, each with its subcommands behind it: row i has
// the Index i. Do not change it.
func (t *Table) Rows() []*Command { return t.rows }

// Named returns the row for a client's command whatever the number of its
// arguments, or nil.
func (t *Table) Named(args [][]byte) *Command {
	c, _ := t.row(args)
	return c
}

// Lookup returns the row for a client's command, a subcommand's if it names
// one, or Redis's error for a name that does not exist and a wrong number of
// arguments. args is not empty. A hot command costs no allocation.
func (t *Table) Lookup(args [][]byte) (*Command, error) {
	c, err := t.row(args)
	if err != nil {
		return nil, err
	}
	return c.fitting(len(args))
}

// row returns the row for a command, whatever the number of its arguments.
func (t *Table) row(args [][]byte) (*Command, error) {
	c := find(t.byName, args[0])
	if c == nil {
		return nil, unknownCommand(args)
	}
	if c.subs != nil && len(args) > 1 {
		sub := find(c.subs, args[1])
		if sub == nil {
			return nil, resp.Error(fmt.Sprintf("ERR unknown subcommand '%s'. Try %s HELP.",
				Printable(args[1], 128), strings.ToUpper(c.Name)))
		}
		return sub, nil
	}
	return c, nil
}

// ErrNoCommand is wrapped by Replicated's error for a name that the table does
// not have.
var ErrNoCommand = errors.New("command: no such command can be replicated")

// Replicated returns the row that a log entry's command names: what Lookup finds,
// and the internal commands besides. The errors are ErrNoCommand, or a reply for a
// command that no version would run.
func (t *Table) Replicated(args [][]byte) (c *Command, err error) {
	if len(args[0]) > 0 && args[0][0] == 0 {
		c = find(t.internal, args[0])
	} else if c, err = t.row(args); err != nil {
		c = nil
	}
	if c == nil || c.Write == nil && c.Read == nil {
		return nil, fmt.Errorf("%w: %q", ErrNoCommand, Printable(args[0], 128))
	}
	return c.fitting(len(args))
}

// ByFullName returns the row named so, "get" or "cluster|slots" in any case, or nil.
func (t *Table) ByFullName(name []byte) *Command {
	parent, sub, nested := bytes.Cut(name, []byte{'|'})
	c := find(t.byName, parent)
	if c == nil || !nested {
		return c
	}
	return find(c.subs, sub)
}

// fitting returns c if it takes n arguments, its name among them.
func (c *Command) fitting(n int) (*Command, error) {
	if !c.Fits(n) {
		return nil, errArity(c.FullName())
	}
	return c, nil
}

// Fits reports whether a command takes n arguments, its names among them.
func (c *Command) Fits(n int) bool {
	if c.Arity < 0 {
		return n >= -c.Arity
	}
	return n == c.Arity
}

// find looks name up in lower case without allocating.
func find(commands map[string]*Command, name []byte) *Command {
	if len(name) > maxName {
		return nil
	}
	var lower [maxName]byte
	for i, b := range name {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		lower[i] = b
	}
	return commands[string(lower[:len(name)])]
}

// unknownCommand makes Redis's error, which shows the first 128 bytes of the
// arguments.
func unknownCommand(args [][]byte) error {
	var shown strings.Builder
	for _, arg := range args[1:] {
		if shown.Len() >= 128 {
			break
		}
		fmt.Fprintf(&shown, "'%s' ", Printable(arg, 128-shown.Len()))
	}
	return resp.Error(fmt.Sprintf("ERR unknown command '%s', with args beginning with: %s",
		Printable(args[0], 128), shown.String()))
}
