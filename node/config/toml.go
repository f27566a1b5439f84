package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlEntry is one value of a document, or a table's header.
type tomlEntry struct {
	key   string // dotted
	line  int
	value any
	table bool
}

// parseTOML returns the entries in the order of their lines. An error begins
// with "line:".
func parseTOML(data []byte) ([]tomlEntry, error) {
	var document map[string]any
	if err := toml.Unmarshal(data, &document); err != nil {
		var syntax *toml.DecodeError
		if errors.As(err, &syntax) {
			line, _ := syntax.Position()
			return nil, fmt.Errorf("%d: %s", line, strings.TrimPrefix(syntax.Error(), "toml: "))
		}
		return nil, fmt.Errorf("1: %s", strings.TrimPrefix(err.Error(), "toml: "))
	}
	lines := keyLines(data)
	var entries []tomlEntry
	var walk func(prefix string, table map[string]any, line int)
	walk = func(prefix string, table map[string]any, line int) {
		for name, value := range table {
			e := tomlEntry{key: prefix + name, line: line, value: value}
			if at, ok := lines[e.key]; ok {
				e.line = at
			}
			// Only sections are tables: what else is one stays whole, for the
			// error that it deserves.
			if inner, ok := value.(map[string]any); ok && prefix == "" {
				e.table = true
				walk(e.key+".", inner, e.line)
			}
			entries = append(entries, e)
		}
	}
	walk("", document, 1)
	slices.SortStableFunc(entries, func(a, b tomlEntry) int {
		if a.line != b.line {
			return a.line - b.line
		}
		return strings.Compare(a.key, b.key)
	})
	return entries, nil
}

// keyLines finds the line of each key and table header, by dotted key.
func keyLines(data []byte) map[string]int {
	lines := make(map[string]int)
	var p unstable.Parser
	p.Reset(data)
	var section []string
	for p.NextExpression() {
		e := p.Expression()
		var path []string
		if e.Kind == unstable.KeyValue {
			path = slices.Clone(section)
		}
		line := 1
		for key := e.Key(); key.Next(); {
			path = append(path, string(key.Node().Data))
			line = p.Shape(key.Node().Raw).Start.Line
			if dotted := strings.Join(path, "."); lines[dotted] == 0 {
				lines[dotted] = line
			}
		}
		if e.Kind == unstable.Table || e.Kind == unstable.ArrayTable {
			section = path
		}
	}
	return lines
}

// TOML writes all settings as a configuration file, each with its description.
func (c *Config) TOML() []byte {
	var b bytes.Buffer
	section := ""
	for k := range c.fields() {
		if s := k.Section(); s != section {
			if section != "" {
				b.WriteByte('\n')
			}
			section = s
			fmt.Fprintf(&b, "# %s\n[%s]\n", sectionDoc(s), s)
		}
		fmt.Fprintf(&b, "# %s\n%s = %s\n", k.Doc, k.Field(), k.literal())
	}
	return b.Bytes()
}

// literal returns the value as TOML has it.
func (k Key) literal() string {
	switch v := k.value.Interface().(type) {
	case int, bool:
		return fmt.Sprint(v)
	case []string:
		quoted := make([]string, len(v))
		for i, item := range v {
			quoted[i] = quoteTOML(item)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	default:
		return quoteTOML(fmt.Sprint(v))
	}
}

// quoteTOML writes s as a TOML basic string.
func quoteTOML(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
