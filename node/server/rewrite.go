package server

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/genuineh/aikv/node/admin"
	"github.com/genuineh/aikv/node/config"
)

// fileSetting says which key of the configuration a parameter is, and how its value
// is written there.
type fileSetting struct {
	key  string
	text func(value string) string
}

// fileSettings returns those of the parameters that CONFIG SET acts upon, by name. The
// others have no key and hold until the node ends.
func fileSettings() map[string]fileSetting {
	same := func(value string) string { return value }
	unit := func(unit string) func(string) string { return func(value string) string { return value + unit } }
	truth := func(value string) string { return strconv.FormatBool(value == "yes") }
	return map[string]fileSetting{
		"client-output-buffer-limit":      {"server.client_output_buffer_limit", outputLimitText},
		"client-query-buffer-limit":       {"server.client_query_buffer_limit", unit("b")},
		"cluster-allow-reads-when-down":   {"cluster.allow_reads_when_down", truth},
		"cluster-announce-hostname":       {"server.announce_hostname", same},
		"cluster-announce-ip":             {"server.announce_host", same},
		"cluster-announce-port":           {"server.announce_port", same},
		"cluster-node-timeout":            {"cluster.node_timeout", unit("ms")},
		"cluster-preferred-endpoint-type": {"server.preferred_endpoint_type", same},
		"cluster-require-full-coverage":   {"cluster.require_full_coverage", truth},
		"loglevel":                        {"logging.level", configLevel},
		"maxclients":                      {"server.maxclients", same},
		"proto-max-bulk-len":              {"server.proto_max_bulk_len", unit("b")},
		"requirepass":                     {"server.requirepass", same},
		"timeout":                         {"server.timeout", unit("s")},
	}
}

// outputLimitText is the limit of class normal: AiKv has no clients of another.
func outputLimitText(value string) string {
	limits, _ := admin.ParseOutputLimits(value, admin.OutputLimits{}) // Config has checked it
	n := limits.Normal
	return fmt.Sprintf("%db %db %ds", n.Hard, n.Soft, n.SoftSeconds)
}

// configLevel names a loglevel of Redis as the configuration does.
func configLevel(value string) string {
	return cmp.Or(map[string]string{"debug": "debug", "warning": "warn"}[value], "info")
}

// rewriteConfig is CONFIG REWRITE: it puts what CONFIG SET has changed into the file
// that the node was started with. Without a file Redis refuses, in its own words.
func rewriteConfig(cfg *config.Config) func(changed map[string]string) error {
	if cfg.File == "" {
		return nil
	}
	return func(changed map[string]string) error {
		keys, values := fileSettings(), make(map[string]string)
		var homeless []string
		for name, value := range changed {
			if setting, ok := keys[name]; ok {
				values[setting.key] = setting.text(value)
			} else {
				homeless = append(homeless, name)
			}
		}
		if len(homeless) > 0 {
			slices.Sort(homeless)
			return fmt.Errorf("no key of %s stands for %s, which holds until the node ends", cfg.File, strings.Join(homeless, ", "))
		}
		return cfg.Rewrite(values)
	}
}
