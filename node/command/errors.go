package command

import (
	"strings"

	"github.com/genuineh/aikv/node/resp"
)

// Redis's common error replies.

func errSyntax() resp.Value { return resp.Err("syntax error") }

func errNotInteger() resp.Value { return resp.Err("value is not an integer or out of range") }

func errWrongType() resp.Value {
	return resp.FromError(resp.Error("WRONGTYPE Operation against a key holding the wrong kind of value"))
}

func errArity(c string) resp.Value {
	return resp.Err("wrong number of arguments for '%s' command", c)
}

// errSubcommand is the error for a subcommand with too many arguments whose
// arity is "at least".
func errSubcommand(args [][]byte) resp.Value {
	return resp.Err("unknown subcommand or wrong number of arguments for '%s'. Try %s HELP.",
		printable(args[1], 128), strings.ToUpper(string(printable(args[0], 128))))
}

func errExpireTime(c string) resp.Value { return resp.Err("invalid expire time in '%s' command", c) }
