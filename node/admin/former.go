package admin

import (
	"strings"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// The same for former handlers.

func errSyntax() resp.Value { return resp.FromError(command.ErrSyntax) }

func errNotInteger() resp.Value { return resp.FromError(command.ErrNotInteger) }

func errWrongType() resp.Value { return resp.FromError(command.ErrWrongType) }

func errArityValue(c string) resp.Value {
	return resp.Err("wrong number of arguments for '%s' command", c)
}

func errSubcommand(args [][]byte) resp.Value {
	return resp.Err("unknown subcommand or wrong number of arguments for '%s'. Try %s HELP.",
		command.Printable(args[1], 128), strings.ToUpper(string(command.Printable(args[0], 128))))
}

func errExpireTime(c string) resp.Value { return resp.Err("invalid expire time in '%s' command", c) }

func lower(arg []byte) string { return strings.ToLower(string(arg)) }
