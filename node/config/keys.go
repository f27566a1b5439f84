package config

import (
	"encoding"
	"fmt"
	"iter"
	"reflect"
	"strconv"
	"strings"
)

// Key describes one setting.
type Key struct {
	Name string // section.key
	Doc  string // one line
	Env  string // the environment variable that sets it

	value reflect.Value // the field, of the Config that fields was called with
}

// Section returns the part of the name before the dot, and Field the rest.
func (k Key) Section() string { s, _, _ := strings.Cut(k.Name, "."); return s }

// Field is the key's name within its section.
func (k Key) Field() string { _, f, _ := strings.Cut(k.Name, "."); return f }

// Keys returns all settings in the order of the sample files.
func Keys() []Key {
	var c Config
	var keys []Key
	for k := range c.fields() {
		k.value = reflect.Value{}
		keys = append(keys, k)
	}
	return keys
}

// sectionDoc describes a section.
func sectionDoc(section string) string {
	for f := range reflect.TypeFor[Config]().Fields() {
		if f.Tag.Get("toml") == section {
			return f.Tag.Get("doc")
		}
	}
	return ""
}

// fields yields c's settings, with access to their values.
func (c *Config) fields() iter.Seq[Key] {
	return func(yield func(Key) bool) {
		for section, value := range reflect.ValueOf(c).Elem().Fields() {
			sectionName, ok := section.Tag.Lookup("toml")
			if !ok {
				continue
			}
			for field, v := range value.Fields() {
				name := sectionName + "." + field.Tag.Get("toml")
				env := "AIKV_" + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
				if !yield(Key{Name: name, Doc: field.Tag.Get("doc"), Env: env, value: v}) {
					return
				}
			}
		}
	}
}

func (c *Config) field(name string) (Key, bool) {
	for k := range c.fields() {
		if k.Name == name {
			return k, true
		}
	}
	return Key{}, false
}

// Text returns the value of the setting called name as it is given on the
// command line, and whether there is such a setting.
func (c *Config) Text(name string) (string, bool) {
	k, ok := c.field(name)
	if !ok {
		return "", false
	}
	if list, isList := k.value.Interface().([]string); isList {
		return strings.Join(list, ","), true
	}
	return fmt.Sprint(k.value.Interface()), true
}

// setText sets the value from the text of an environment variable or flag.
func (k Key) setText(text string) error {
	switch v := k.value.Addr().Interface().(type) {
	case *string:
		*v = text
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		*v = n
	case *bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is not true or false", text)
		}
		*v = text == "true"
	case *[]string:
		*v = []string{}
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				*v = append(*v, item)
			}
		}
	case encoding.TextUnmarshaler:
		return v.UnmarshalText([]byte(text))
	default:
		return fmt.Errorf("a %T cannot be set", v)
	}
	return nil
}

// setTOML sets the value from one that was decoded from TOML.
func (k Key) setTOML(value any) error {
	switch v := k.value.Addr().Interface().(type) {
	case *int:
		n, ok := value.(int64)
		if !ok || int64(int(n)) != n {
			return fmt.Errorf("must be a whole number, not %s", describe(value))
		}
		*v = int(n)
		return nil
	case *bool:
		b, ok := value.(bool)
		if !ok {
			return fmt.Errorf("must be true or false, not %s", describe(value))
		}
		*v = b
		return nil
	case *[]string:
		items, ok := value.([]any)
		if !ok {
			return fmt.Errorf("must be a list of texts, not %s", describe(value))
		}
		*v = []string{}
		for _, item := range items {
			text, ok := item.(string)
			if !ok {
				return fmt.Errorf("must be a list of texts, not of %s", describe(item))
			}
			*v = append(*v, text)
		}
		return nil
	}
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("must be a text in quotes, not %s", describe(value))
	}
	return k.setText(text)
}

// describe names the kind of a decoded TOML value.
func describe(value any) string {
	switch v := value.(type) {
	case string:
		return fmt.Sprintf("the text %q", v)
	case int64, float64:
		return fmt.Sprintf("the number %v", v)
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	default:
		return "a date"
	}
}
