package resp

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// FormatCLIReply returns the reply to a command as redis-cli prints it: FormatCLI,
// but that a text with lines of its own is printed bare on a terminal too.
func FormatCLIReply(args []string, v Value, tty bool) string {
	if !verbatim(args) {
		return FormatCLI(v, tty && !isCommand(args, "cluster metaraft"))
	}
	var b strings.Builder
	formatRaw(&b, v)
	return b.String()
}

// FormatCLI returns a reply as redis-cli prints it, its last line break
// included: for a terminal with types, quotes and numbers, else bare, an array
// one element a line.
func FormatCLI(v Value, tty bool) string {
	var b strings.Builder
	if tty {
		formatTTY(&b, v, "")
	} else {
		formatRaw(&b, v)
		b.WriteByte('\n')
	}
	return b.String()
}

// verbatim reports whether redis-cli adds nothing, not even a line break, to the
// reply to this command.
func verbatim(args []string) bool {
	return isCommand(args, "info", "lolwut", "cluster nodes", "cluster info", "client list", "client info",
		"memory malloc-stats", "memory doctor", "latency graph", "latency doctor", "debug htstats")
}

// isCommand reports whether args begin with one of the names, of one word or two.
func isCommand(args []string, names ...string) bool {
	for n := 1; n <= min(2, len(args)); n++ {
		if slices.Contains(names, strings.ToLower(strings.Join(args[:n], " "))) {
			return true
		}
	}
	return false
}

func formatRaw(b *strings.Builder, v Value) {
	switch v.Kind {
	case KindNull, KindNullArray:
	case KindError:
		b.Write(v.Str)
		b.WriteByte('\n')
	case KindInt:
		b.WriteString(strconv.FormatInt(v.Int, 10))
	case KindBool:
		b.WriteString(boolText(v))
	case KindArray, KindSet, KindPush:
		for i, e := range v.Elems {
			if i > 0 {
				b.WriteByte('\n')
			}
			formatRaw(b, e)
		}
	case KindMap:
		for i, e := range v.Elems {
			switch {
			case i%2 != 0:
				b.WriteByte(' ')
			case i > 0:
				b.WriteByte('\n')
			}
			formatRaw(b, e)
		}
	default:
		b.Write(v.Str)
	}
}

func boolText(v Value) string {
	if v.Int != 0 {
		return "(true)"
	}
	return "(false)"
}

// formatTTY writes v; prefix stands before every line of it but the first.
func formatTTY(b *strings.Builder, v Value, prefix string) {
	switch v.Kind {
	case KindNull, KindNullArray:
		b.WriteString("(nil)\n")
	case KindError:
		fmt.Fprintf(b, "(error) %s\n", v.Str)
	case KindInt:
		fmt.Fprintf(b, "(integer) %d\n", v.Int)
	case KindDouble:
		fmt.Fprintf(b, "(double) %s\n", v.Str)
	case KindBool:
		b.WriteString(boolText(v) + "\n")
	case KindBulk:
		b.WriteString(quote(v.Str) + "\n")
	case KindArray:
		formatElems(b, v, prefix, ")", "(empty array)\n")
	case KindSet:
		formatElems(b, v, prefix, "~", "(empty set)\n")
	case KindMap:
		formatElems(b, v, prefix, "#", "(empty hash)\n")
	case KindPush:
		formatElems(b, v, prefix, ")", "(empty push)\n")
	default:
		b.Write(v.Str)
		b.WriteByte('\n')
	}
}

func formatElems(b *strings.Builder, v Value, prefix, mark, empty string) {
	if len(v.Elems) == 0 {
		b.WriteString(empty)
		return
	}
	step := 1
	if v.Kind == KindMap {
		step = 2
	}
	width := len(strconv.Itoa(len(v.Elems) / step))
	inner := prefix + strings.Repeat(" ", width+2)
	for i := 0; i+step <= len(v.Elems); i += step {
		if i > 0 {
			b.WriteString(prefix)
		}
		fmt.Fprintf(b, "%*d%s ", width, i/step+1, mark)
		if v.Kind != KindMap {
			formatTTY(b, v.Elems[i], inner)
			continue
		}
		var key strings.Builder
		formatTTY(&key, v.Elems[i], inner)
		b.WriteString(strings.TrimSuffix(key.String(), "\n") + " => ")
		formatTTY(b, v.Elems[i+1], inner)
	}
}

// quote writes a string as redis-cli shows it on a terminal.
func quote(s []byte) string {
	var b bytes.Buffer
	b.WriteByte('"')
	for _, c := range s {
		switch c {
		case '\\', '"':
			b.Write([]byte{'\\', c})
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		case '\a':
			b.WriteString(`\a`)
		case '\b':
			b.WriteString(`\b`)
		default:
			if c < ' ' || c > '~' {
				fmt.Fprintf(&b, `\x%02x`, c)
			} else {
				b.WriteByte(c)
			}
		}
	}
	b.WriteByte('"')
	return b.String()
}
