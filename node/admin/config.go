package admin

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// Config holds the parameters that CONFIG GET and SET show under Redis's
// names. Those that the node acts upon have a hook, or are read here when they
// matter; of the others only values are taken that say what the node does anyway.
// What was set is remembered until the node ends. All methods may be called
// concurrently.
type Config struct {
	opts    ConfigOptions
	params  map[string]param  // by canonical name
	alias   map[string]string // other name → canonical name
	initial map[string]string // values at the start, by canonical name

	setting sync.Mutex // held while hooks run: one CONFIG SET at a time
	mu      sync.RWMutex
	values  map[string]string // by canonical name
	changed map[string]string // by CONFIG SET
}

// ConfigOptions tie a Config to its node.
type ConfigOptions struct {
	// Values are what the node runs with, by Redis's names, where that differs
	// from Redis's defaults.
	Values map[string]string
	// Hooks put a new value into effect; an error refuses it. They run one at
	// a time and must not call Set.
	Hooks map[string]func(ctx context.Context, value string) error
	// Shared are values that the whole cluster has in common: "" where it has none,
	// then the node's own value counts. They must not call Config's methods.
	Shared map[string]func() string
	// Rewrite makes the values that CONFIG SET changed last, of parameters that act; nil
	// if there is no configuration file.
	Rewrite func(changed map[string]string) error
	// ResetStat sets the counters of INFO to zero; may be nil.
	ResetStat func()
}

// NewConfig returns a Config; it panics on a value or hook of an unknown
// parameter.
func NewConfig(opts ConfigOptions) *Config {
	c := &Config{
		opts: opts, params: make(map[string]param), alias: paramAliases(),
		values: make(map[string]string), changed: make(map[string]string),
	}
	for _, p := range redisParams() {
		c.params[p.name] = p
		c.values[p.name] = p.value
	}
	for name, value := range opts.Values {
		if _, ok := c.values[name]; !ok {
			panic("command: unknown parameter " + name)
		}
		c.values[name] = value
	}
	for name := range opts.Hooks {
		if !c.params[name].acts {
			panic("command: a hook for a parameter that does not act: " + name)
		}
	}
	c.initial = maps.Clone(c.values)
	return c
}

// Acting returns the names of the parameters that the node acts upon.
func (c *Config) Acting() []string {
	var names []string
	for name, p := range c.params {
		if p.acts {
			names = append(names, name)
		}
	}
	return names
}

// Value returns a parameter's value, "" for an unknown one.
func (c *Config) Value(name string) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.valueOf(c.canonical(name))
}

// valueOf returns the value that holds; c.mu is held.
func (c *Config) valueOf(canonical string) string {
	if shared := c.opts.Shared[canonical]; shared != nil {
		if value := shared(); value != "" {
			return value
		}
	}
	return c.values[canonical]
}

func (c *Config) canonical(name string) string {
	if other, ok := c.alias[name]; ok {
		return other
	}
	return name
}

// Get returns the parameters that match one of the glob patterns, by name.
func (c *Config) Get(patterns ...[]byte) (names []string, values map[string]string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	values = make(map[string]string)
	offer := func(name, canonical string) {
		for _, pattern := range patterns {
			if command.Match(pattern, []byte(name), true) && (!c.params[canonical].hidden || strings.EqualFold(string(pattern), name)) {
				values[name] = c.valueOf(canonical)
				return
			}
		}
	}
	for name := range c.params {
		offer(name, name)
	}
	for name, canonical := range c.alias {
		offer(name, canonical)
	}
	return slices.Sorted(maps.Keys(values)), values
}

// setting is one parameter of a CONFIG SET.
type setting struct{ shown, name, value, before string }

// Set changes parameters, given as name, value, name, value: all or none. An
// error carries Redis's text, or says why AiKv does not do what the value asks for.
// ctx bounds what has to reach the whole cluster.
func (c *Config) Set(ctx context.Context, pairs [][]byte) error {
	settings, err := c.check(pairs)
	if err != nil {
		return err
	}
	c.setting.Lock()
	defer c.setting.Unlock()
	for i, s := range settings {
		if err := c.act(ctx, s.name, s.value); err != nil {
			for _, done := range settings[:i] {
				_ = c.act(ctx, done.name, done.before) // it held a moment ago
			}
			return errConfigSet(s.shown, err.Error())
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range settings {
		c.values[s.name] = s.value
		// What was not changed, or says what the node does anyway, need not last.
		if _, before := c.changed[s.name]; c.params[s.name].acts && (before || s.value != s.before) {
			c.changed[s.name] = s.value
		}
	}
	return nil
}

func (c *Config) act(ctx context.Context, name, value string) error {
	if hook := c.opts.Hooks[name]; hook != nil {
		return hook(ctx, value)
	}
	return nil
}

func errConfigSet(name, why string) error {
	return resp.Error(fmt.Sprintf("ERR CONFIG SET failed (possibly related to argument '%s') - %s", name, why))
}

// check returns the pairs with canonical names and values.
func (c *Config) check(pairs [][]byte) ([]setting, error) {
	settings := make([]setting, 0, len(pairs)/2)
	seen := make(map[string]bool)
	for i := 0; i+1 < len(pairs); i += 2 {
		shown := lower(pairs[i])
		p, ok := c.params[c.canonical(shown)]
		if !ok {
			return nil, resp.Error(fmt.Sprintf("ERR Unknown option or number of arguments for CONFIG SET - '%s'",
				command.Printable(pairs[i], 128)))
		}
		if seen[shown] {
			return nil, errConfigSet(shown, "duplicate parameter")
		}
		seen[shown] = true // by this name: Redis lets an alias come besides
		settings = append(settings, setting{shown, p.name, string(pairs[i+1]), c.Value(p.name)})
	}
	for i := range settings {
		s := &settings[i]
		p := c.params[s.name]
		value, why := p.judge(s.value, s.before)
		if why == "" && !p.acts && !p.allows(value, s.before, c.initial[s.name]) {
			why = p.why
		}
		if why != "" {
			return nil, errConfigSet(s.shown, why)
		}
		s.value = value
	}
	return settings, nil
}

// judge returns text as the parameter's value, or why Redis takes it for none.
// current is the value that it has.
func (p *param) judge(text, current string) (value, why string) {
	if p.parse != nil {
		return p.parse(text)
	}
	switch p.kind {
	case booleanParam:
		value = strings.ToLower(text)
		if value != "yes" && value != "no" {
			why = "argument must be 'yes' or 'no'"
		}
	case integerParam:
		n, ok := command.ParseInt([]byte(text))
		if !ok {
			return "", "argument couldn't be parsed into an integer"
		}
		if n < p.low || n > p.high {
			return "", fmt.Sprintf("argument must be between %d and %d inclusive", p.low, p.high)
		}
		value = strconv.FormatInt(n, 10)
	case memoryParam:
		n, ok := parseMemory(text)
		if !ok {
			return "", "argument must be a memory value"
		}
		if p.high > 0 && (n < p.low || n > p.high) {
			return "", fmt.Sprintf("argument must be between %d and %d inclusive", p.low, p.high)
		}
		value = strconv.FormatInt(n, 10)
	case outputLimitParam:
		limits, why := ParseOutputLimits(current, OutputLimits{})
		if why == "" {
			limits, why = ParseOutputLimits(text, limits)
		}
		return limits.String(), why
	case enumParam:
		value = strings.ToLower(text)
		if !slices.Contains(strings.Split(p.words, ", "), value) {
			why = "argument(s) must be one of the following: " + p.words
		}
	case immutableParam:
		why = "can't set immutable config" // not even to the value that it has
	case protectedParam:
		why = "can't set protected config"
	default:
		value = text
	}
	return value, why
}

// parseMemory reads a number of bytes with a unit, as in redis.conf: 1k is
// 1000 and 1kb is 1024 bytes.
func parseMemory(text string) (n int64, ok bool) {
	text = strings.ToLower(text)
	digits := strings.TrimRight(text, "bkmg")
	factors := map[string]int64{
		"": 1, "b": 1, "k": 1000, "kb": 1 << 10, "m": 1000 * 1000, "mb": 1 << 20, "g": 1000 * 1000 * 1000, "gb": 1 << 30,
	}
	factor, known := factors[text[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	if !known || err != nil || n < 0 || n > math.MaxInt64/factor {
		return 0, false
	}
	return n * factor, true
}

// Rewrite makes what CONFIG SET changed last beyond the end of the node.
func (c *Config) Rewrite() error {
	if c.opts.Rewrite == nil {
		return resp.Error("ERR The server is running without a config file")
	}
	c.mu.RLock()
	changed := maps.Clone(c.changed)
	c.mu.RUnlock()
	if err := c.opts.Rewrite(changed); err != nil {
		return resp.Error("ERR Rewriting config file: " + err.Error())
	}
	return nil
}

// configSubcommands returns the rows of CONFIG.
func (a *admin) configSubcommands() []*command.Command {
	return []*command.Command{
		{
			Name: "get", Arity: -3, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale,
			Doc:   command.Doc{Usage: "<pattern> [<pattern> ...]", Summary: "Returns parameters and their values.", Since: "2.0.0", Group: "server", Complexity: "O(N)"},
			Local: a.configGet,
		},
		{
			Name: "help", Arity: 2, Flags: command.FlagLoading | command.FlagStale,
			Doc:   command.Doc{Summary: "Lists the subcommands.", Since: "5.0.0", Group: "server", Complexity: "O(1)"},
			Local: command.Help,
		},
		{
			Name: "resetstat", Arity: 2, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale,
			Tips:  []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Doc:   command.Doc{Summary: "Sets the counters of INFO to zero.", Since: "2.0.0", Group: "server", Complexity: "O(1)"},
			Local: a.configResetStat,
		},
		{
			Name: "rewrite", Arity: 2, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale,
			Tips:  []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Doc:   command.Doc{Summary: "Writes the parameters to the configuration file.", Since: "2.8.0", Group: "server", Complexity: "O(1)"},
			Local: a.configRewrite,
		},
		{
			Name: "set", Arity: -4, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale,
			Tips:  []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Doc:   command.Doc{Usage: "<parameter> <value> [<parameter> <value> ...]", Summary: "Sets parameters.", Since: "2.0.0", Group: "server", Complexity: "O(N)"},
			Local: a.configSet, Secrets: configSecrets,
		},
	}
}

// configSecrets hides the values of parameters that are passwords.
func configSecrets(args [][]byte, hide func(i int)) {
	for i := 2; i+1 < len(args); i += 2 {
		switch lower(args[i]) {
		case "requirepass", "masterauth", "masteruser", "tls-key-file-pass", "tls-client-key-file-pass":
			hide(i + 1)
		}
	}
}

func (a *admin) configGet(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	names, values := a.node.Config().Get(args.Rest()...)
	r.Map(len(names))
	for _, name := range names {
		r.BulkString(name)
		r.BulkString(values[name])
	}
	return nil
}

func (a *admin) configSet(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	if args.Len()%2 != 0 {
		return args.ErrArity()
	}
	return ok(r, a.node.Config().Set(ctx, args.Rest()))
}

// ok answers OK, or err.
func ok(r *resp.Reply, err error) error {
	if err == nil {
		r.OK()
	}
	return err
}

func (a *admin) configRewrite(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	return ok(r, a.node.Config().Rewrite())
}

func (a *admin) configResetStat(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	if f := a.node.Config().opts.ResetStat; f != nil {
		f()
	}
	r.OK()
	return nil
}
