package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Rewrite changes settings in the file that c was read from: values by key, written as
// on the command line. All else in the file stays as it is, comments too. It changes
// all of them or, with an error, nothing; a setting that the environment or the command
// line has given is refused, as that would go on to count more than the file.
func (c *Config) Rewrite(values map[string]string) error {
	changed := *c
	literals := make(map[string]string, len(values))
	for name, text := range values {
		k, ok := changed.field(name)
		if !ok {
			return fmt.Errorf("there is no key %s", name)
		}
		if source := c.overriding[name]; source != "" {
			return fmt.Errorf("%s is given by %s, which counts more than the file", name, source)
		}
		if err := k.setText(text); err != nil {
			return &KeyError{Key: name, Reason: err.Error()}
		}
		literals[name] = k.literal()
	}
	if err := changed.Validate(); err != nil {
		return err
	}
	path, err := filepath.EvalSymlinks(c.File)
	if err != nil {
		return err
	}
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	after, err := rewriteTOML(before, literals)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	return replaceFile(path, after)
}

// rewriteTOML sets keys of a document to TOML literals.
func rewriteTOML(document []byte, literals map[string]string) ([]byte, error) {
	was, err := parseTOML(document)
	if err != nil {
		return nil, err
	}
	text := document
	for _, name := range slices.Sorted(maps.Keys(literals)) {
		text = setInTOML(text, name, literals[name])
	}
	now, err := parseTOML(text)
	if err == nil && !sameBut(was, now, literals) {
		err = errors.New("it is written in a form that cannot be changed without changing more")
	}
	return text, err
}

// setInTOML replaces the value of section.field, or adds it to its section, or that too.
func setInTOML(document []byte, name, literal string) []byte {
	section, field, _ := strings.Cut(name, ".")
	place := findInTOML(document, section, name)
	line := field + " = " + literal + "\n"
	switch {
	case place.end > 0:
		return slices.Concat(document[:place.start], []byte(literal), document[place.end:])
	case place.section > 0:
		at := lineAfter(document, place.section)
		if document[at-1] != '\n' {
			line = "\n" + line
		}
		return slices.Concat(document[:at], []byte(line), document[at:])
	default:
		return slices.Concat(document, []byte("\n["+section+"]\n"+line))
	}
}

// tomlPlace is where a key stands in a document, in bytes.
type tomlPlace struct {
	start, end int // its value; 0: it is not there
	section    int // a place in the last line of its section that says something; 0: there is none
}

func findInTOML(document []byte, section, name string) (place tomlPlace) {
	var p unstable.Parser
	p.Reset(document)
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		var path []string
		end := 0
		switch e.Kind {
		case unstable.KeyValue:
			path, end = slices.Clone(table), int(e.Raw.Offset+e.Raw.Length)
		case unstable.Table, unstable.ArrayTable:
		default:
			continue
		}
		behind := 0 // the key
		for key := e.Key(); key.Next(); {
			path = append(path, string(key.Node().Data))
			behind = int(key.Node().Raw.Offset + key.Node().Raw.Length)
		}
		if e.Kind != unstable.KeyValue {
			table = path
		} else if strings.Join(path, ".") == name {
			value := bytes.TrimLeft(document[behind:end], " \t=")
			place.start, place.end = end-len(value), end
		}
		if len(table) == 1 && table[0] == section {
			place.section = max(end, behind)
		}
	}
	return place
}

// lineAfter returns where the line behind that of an offset begins.
func lineAfter(document []byte, offset int) int {
	for ; offset < len(document); offset++ {
		if document[offset] == '\n' {
			return offset + 1
		}
	}
	return offset
}

// sameBut reports whether two documents have the same values, but for those keys, which
// the second one has.
func sameBut(was, now []tomlEntry, keys map[string]string) bool {
	values := func(entries []tomlEntry) (others map[string]any, named int) {
		others = make(map[string]any)
		for _, e := range entries {
			if _, ok := keys[e.key]; ok {
				named++
			} else if !e.table {
				others[e.key] = e.value
			}
		}
		return others, named
	}
	before, _ := values(was)
	after, named := values(now)
	return named == len(keys) && reflect.DeepEqual(before, after)
}

// replaceFile puts data in the place of a file, so that it is there whole at any time,
// and keeps its mode.
func replaceFile(path string, data []byte) (err error) {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreAbsent(os.Remove(f.Name())))
		}
	}()
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
