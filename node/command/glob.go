package command

// Match reports whether s matches the glob pattern, as Redis does: * and ?,
// classes [abc], [^a-z], and \ before a character that stands for itself. The
// work is at most len(pattern) * len(s).
func Match(pattern, s []byte, foldCase bool) bool {
	p, i := 0, 0
	star, starAt := -1, 0 // after the last *, and what it has swallowed up to
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			star, starAt = p, i
			continue
		}
		if p < len(pattern) {
			if next, ok := matchOne(pattern, p, s[i], foldCase); ok {
				p = next
				i++
				continue
			}
		}
		if star < 0 {
			return false
		}
		starAt++ // let the last * swallow one more
		p, i = star, starAt
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne matches c against the element of pattern at p, which is no *, and
// returns where the next element begins.
func matchOne(pattern []byte, p int, c byte, foldCase bool) (next int, ok bool) {
	switch {
	case pattern[p] == '?':
		return p + 1, true
	case pattern[p] == '[':
		return matchClass(pattern, p+1, c, foldCase)
	case pattern[p] == '\\' && p+1 < len(pattern):
		p++
	}
	return p + 1, fold(pattern[p], foldCase) == fold(c, foldCase)
}

// matchClass matches c against the class whose content begins at p. A class
// that is not closed ends with the pattern.
func matchClass(pattern []byte, p int, c byte, foldCase bool) (next int, ok bool) {
	c = fold(c, foldCase)
	not := p < len(pattern) && pattern[p] == '^'
	if not {
		p++
	}
	for p < len(pattern) && pattern[p] != ']' {
		switch rest := len(pattern) - p; {
		case pattern[p] == '\\' && rest >= 2:
			ok = ok || fold(pattern[p+1], foldCase) == c
			p += 2
		case rest >= 3 && pattern[p+1] == '-':
			from, to := pattern[p], pattern[p+2]
			if from > to {
				from, to = to, from
			}
			from, to = fold(from, foldCase), fold(to, foldCase)
			ok = ok || from <= c && c <= to
			p += 3
		default:
			ok = ok || fold(pattern[p], foldCase) == c
			p++
		}
	}
	return min(p+1, len(pattern)), ok != not
}

func fold(b byte, foldCase bool) byte {
	if foldCase && 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}
