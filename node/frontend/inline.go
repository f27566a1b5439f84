package frontend

// splitLine appends the words of an inline command to args, quoted as Redis
// allows: "double" with \n \r \t \b \a \xHH and \ before anything else,
// 'single' with \' only, and quotes in the middle of a word. The words are
// written over line, which they never outgrow. It returns false if a quote is
// not closed or is followed by something else than a space.
func splitLine(line []byte, args [][]byte) ([][]byte, bool) {
	for i := 0; ; {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i == len(line) {
			return args, true
		}
		start, end := i, i // the word as written back: line[start:end]
		for i < len(line) && !isSpace(line[i]) {
			if quote := line[i]; quote == '"' || quote == '\'' {
				var ok bool
				if i, end, ok = unquote(line, i, end); !ok {
					return args, false
				}
				// Nothing but a space may follow a closing quote.
				break
			}
			line[end] = line[i]
			i, end = i+1, end+1
		}
		args = append(args, line[start:end:end])
	}
}

// unquote copies the quoted text that begins at line[i] to line[end:], and
// returns where reading and writing go on.
func unquote(line []byte, i, end int) (int, int, bool) {
	quote := line[i]
	for i++; i < len(line); {
		switch c := line[i]; {
		case c == quote:
			i++
			return i, end, i == len(line) || isSpace(line[i])
		case c != '\\' || i+1 == len(line):
			line[end] = c
			i++
		case quote == '\'' && line[i+1] != '\'':
			line[end] = c
			i++
		case quote == '\'':
			line[end] = '\''
			i += 2
		default:
			line[end], i = escaped(line, i)
		}
		end++
	}
	return i, end, false
}

// escaped returns the byte that the escape sequence at line[i] stands for, and
// where it ends. A byte follows the backslash.
func escaped(line []byte, i int) (byte, int) {
	switch c := line[i+1]; c {
	case 'n':
		return '\n', i + 2
	case 'r':
		return '\r', i + 2
	case 't':
		return '\t', i + 2
	case 'b':
		return '\b', i + 2
	case 'a':
		return '\a', i + 2
	case 'x':
		if i+3 < len(line) {
			high, ok1 := hexDigit(line[i+2])
			low, ok2 := hexDigit(line[i+3])
			if ok1 && ok2 {
				return high<<4 | low, i + 4
			}
		}
		return c, i + 2
	default:
		return c, i + 2
	}
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// isSpace is C's isspace.
func isSpace(c byte) bool {
	return c == ' ' || '\t' <= c && c <= '\r'
}
