package command

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/genuineh/aikv/node/resp"
)

// Redis's common errors.
const (
	ErrSyntax     = resp.Error("ERR syntax error")
	ErrNotInteger = resp.Error("ERR value is not an integer or out of range")
	ErrNotFloat   = resp.Error("ERR value is not a valid float")
	ErrWrongType  = resp.Error("WRONGTYPE Operation against a key holding the wrong kind of value")
	ErrNoSuchKey  = resp.Error("ERR no such key")
	// ErrTooLong is that of a string that would become longer than MaxString.
	ErrTooLong = resp.Error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
)

// What a shard answers to a command that it has not run because of where its keys' slot
// is: see package shard. The front end waits, or sends the client elsewhere.
const (
	// ErrChanging says that the shard does not own the slot at the command's place.
	ErrChanging = resp.Error("TRYAGAIN Slot is changing hands")
	// ErrAsk says that the slot is being moved key by key, and none of the keys is here.
	ErrAsk = resp.Error("ASK")
	// ErrTryAgain says the same, where only some of the keys are here.
	ErrTryAgain = resp.Error("TRYAGAIN Multiple keys request during rehashing of slot")
)

// Errorf returns an error reply with the prefix ERR. What it quotes of the client's
// goes through Printable.
func Errorf(format string, args ...any) error {
	return resp.Error("ERR " + fmt.Sprintf(format, args...))
}

func errArity(name string) error {
	return resp.Error("ERR wrong number of arguments for '" + name + "' command")
}

func errNotWithin(low, high int64) error {
	return Errorf("value is out of range, value must between %d and %d", low, high)
}

// ErrSubcommand is the error for a subcommand with too many arguments whose arity
// is "at least".
func (a *Args) ErrSubcommand() error {
	return Errorf("unknown subcommand or wrong number of arguments for '%s'. Try %s HELP.",
		Printable(a.all[1], 128), strings.ToUpper(string(Printable(a.all[0], 128))))
}

// CString returns b up to its first zero byte, as C prints it.
func CString(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

// Printable is CString without line breaks, and at most limit bytes of it.
func Printable(b []byte, limit int) []byte {
	b = CString(b)
	b = b[:min(len(b), limit)]
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte{'\r'}, []byte{' '}), []byte{'\n'}, []byte{' '})
}
