package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Setting is one setting given on the command line.
type Setting struct {
	Key    string // section.key
	Value  string
	Source string // how the user gave it, such as "--port"; for errors
}

// shortEnv are the environment variables named like the flags; those named
// after section and key are in Key.Env and count more.
var shortEnv = []struct{ env, key string }{
	{"AIKV_HOST", "server.host"},
	{"AIKV_PORT", "server.port"},
	{"AIKV_ANNOUNCE_HOST", "server.announce_host"},
	{"AIKV_ANNOUNCE_PORT", "server.announce_port"},
	{"AIKV_REQUIREPASS", "server.requirepass"},
	{"AIKV_SEEDS", "raft.seeds"},
	{"AIKV_DATA_DIR", "storage.data_dir"},
	{"AIKV_LOG_LEVEL", "logging.level"},
	{"AIKV_LOG_FILE", "logging.file"},
}

// Load reads the settings: the defaults, then the file at path unless that is
// empty, then env (as os.Environ gives it; an empty value counts as not set),
// then flags. The result is valid. An error is one line that names the place:
// file and line, environment variable, or flag.
func Load(path string, env []string, flags []Setting) (Config, error) {
	l := loader{config: Default(), sources: make(map[string]string)}
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return Config{}, fmt.Errorf("cannot read the configuration: %w", err)
		}
		if err := l.file(path, data); err != nil {
			return Config{}, err
		}
		l.config.File = path
	}
	if err := l.environment(env); err != nil {
		return Config{}, err
	}
	for _, s := range flags {
		if err := l.text(s); err != nil {
			return Config{}, err
		}
	}
	if err := l.config.Validate(); err != nil {
		var bad *KeyError
		if errors.As(err, &bad) && l.sources[bad.Key] != "" {
			return Config{}, fmt.Errorf("%s: %w", l.sources[bad.Key], err)
		}
		return Config{}, err
	}
	return l.config, nil
}

// KeyError says what is wrong with a setting.
type KeyError struct {
	Key    string // section.key
	Reason string
}

func (e *KeyError) Error() string { return e.Key + ": " + e.Reason }

// loader collects settings and remembers where each came from.
type loader struct {
	config  Config
	sources map[string]string
}

// text takes a setting from the environment or the command line.
func (l *loader) text(s Setting) error {
	k, ok := l.config.field(s.Key)
	if !ok {
		return unknownKey(s.Source, s.Key)
	}
	if err := k.setText(s.Value); err != nil {
		return fmt.Errorf("%s: %w", s.Source, &KeyError{Key: s.Key, Reason: err.Error()})
	}
	l.sources[s.Key] = s.Source
	if l.config.overriding == nil {
		l.config.overriding = make(map[string]string)
	}
	l.config.overriding[s.Key] = s.Source
	return nil
}

// file takes the settings of a TOML document.
func (l *loader) file(path string, data []byte) error {
	entries, err := parseTOML(data)
	if err != nil {
		return fmt.Errorf("%s:%w", path, err)
	}
	for _, e := range entries {
		source := fmt.Sprintf("%s:%d", path, e.line)
		k, ok := l.config.field(e.key)
		if !ok {
			if e.table && sectionDoc(e.key) != "" {
				continue
			}
			return unknownKey(source, e.key)
		}
		if err := k.setTOML(e.value); err != nil {
			return fmt.Errorf("%s: %w", source, &KeyError{Key: e.key, Reason: err.Error()})
		}
		l.sources[e.key] = source
	}
	return nil
}

// environment takes settings from AIKV_* variables. A name that begins like a
// section but is no key only earns a warning: container platforms invent such
// names (AIKV_RAFT_SERVICE_HOST), and for a service called aikv they set
// AIKV_PORT to a tcp:// address, which is passed over too.
func (l *loader) environment(env []string) error {
	values := make(map[string]string)
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "AIKV_") && value != "" && !strings.Contains(value, "://") {
			values[name] = value
		}
	}
	take := func(name, key string) error {
		value, ok := values[name]
		if !ok {
			return nil
		}
		delete(values, name)
		return l.text(Setting{Key: key, Value: value, Source: "environment variable " + name})
	}
	for _, s := range shortEnv {
		if err := take(s.env, s.key); err != nil {
			return err
		}
	}
	sections := make(map[string]bool)
	for _, k := range Keys() {
		if err := take(k.Env, k.Name); err != nil {
			return err
		}
		sections[strings.ToUpper(k.Section())] = true
	}
	for name := range values {
		if section, _, ok := strings.Cut(strings.TrimPrefix(name, "AIKV_"), "_"); ok && sections[section] {
			l.config.unknownEnv = append(l.config.unknownEnv, name)
		}
	}
	slices.Sort(l.config.unknownEnv)
	return nil
}

// unknownKey suggests the key that was perhaps meant.
func unknownKey(source, name string) error {
	best, distance := "", 3
	for _, k := range Keys() {
		d := editDistance(name, k.Name)
		if k.Field() == name || k.Field() == name[strings.LastIndexByte(name, '.')+1:] {
			d = 1 // the right key in the wrong section
		}
		if d < distance {
			best, distance = k.Name, d
		}
	}
	if best != "" {
		return fmt.Errorf("%s: unknown key %s (is %s meant?)", source, name, best)
	}
	return fmt.Errorf("%s: unknown key %s", source, name)
}

// editDistance counts the insertions, deletions and replacements that make a b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
