package admin

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The functions below judge values of parameters as Redis does: they return the
// value as CONFIG GET shows it, or Redis's words for what is wrong with it.

// parsePercentiles reads a list of percentiles.
func parsePercentiles(text string) (value, why string) {
	var shown []string
	for _, word := range strings.Fields(text) {
		f, err := strconv.ParseFloat(word, 64)
		switch {
		case err != nil:
			return "", "Invalid latency-tracking-info-percentiles parameters"
		case !(f >= 0 && f <= 100):
			return "", "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
		}
		shown = append(shown, strconv.FormatFloat(f, 'g', -1, 64))
	}
	return strings.Join(shown, " "), ""
}

// parseSave reads pairs of seconds and changes.
func parseSave(text string) (value, why string) {
	words := strings.Fields(text)
	if len(words)%2 != 0 {
		return "", "Invalid save parameters"
	}
	for i, word := range words {
		n, err := strconv.ParseInt(word, 10, 32)
		if err != nil || n < 0 || i%2 == 0 && n < 1 {
			return "", "Invalid save parameters"
		}
		words[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(words, " "), ""
}

// parseEvents reads the classes of keyspace events.
func parseEvents(text string) (value, why string) {
	const classes = "Ag$lshzxeKEtmdn"
	if strings.Trim(text, classes) != "" {
		return "", "Invalid event class character. Use '" + classes + "'."
	}
	return text, ""
}

func parseOOMScores(text string) (value, why string) {
	words := strings.Fields(text)
	if len(words) != 3 {
		return "", "wrong number of arguments"
	}
	for i, word := range words {
		n, err := strconv.ParseInt(word, 10, 32)
		if err != nil || n < -2000 || n > 2000 {
			return "", "Invalid oom-score-adj-values, elements must be between -2000 and 2000."
		}
		words[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(words, " "), ""
}

// parseTitle reads a template of the process's title.
func parseTitle(text string) (value, why string) {
	known := []string{"title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"}
	bad := text == ""
	for rest := text; !bad; {
		_, after, open := strings.Cut(rest, "{")
		if !open {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		bad, rest = !closed || !slices.Contains(known, name), after
	}
	if bad {
		return "", "template format is invalid or contains unknown variables"
	}
	return text, ""
}

// parseBind reads addresses to listen on: "*" is all of a family, and "-" marks one
// that may be missing.
func parseBind(text string) (value, why string) {
	words := strings.Fields(text)
	if len(words) > 16 {
		return "", "Too many bind addresses specified."
	}
	for _, word := range words {
		host := strings.TrimPrefix(word, "-")
		if host != "*" && host != "::*" && net.ParseIP(host) == nil && parseable(host) != nil {
			return "", "Failed to bind to specified addresses."
		}
	}
	return strings.Join(words, " "), ""
}

// parseable returns an error for what is neither a host name nor looks like one:
// an address with a number too large, for example.
func parseable(host string) error {
	if strings.Trim(host, "0123456789.:") == "" {
		_, err := netip.ParseAddr(host)
		return err
	}
	if _, why := parseHostname(host); why != "" {
		return net.InvalidAddrError(why)
	}
	return nil
}

const shutdownWords = "default, save, nosave, now, force"

// parseShutdown reads how to end at a signal.
func parseShutdown(text string) (value, why string) {
	known := strings.Split(shutdownWords, ", ")
	given := strings.Split(strings.ToLower(text), " ")
	var shown []string
	for _, word := range known {
		if word != "default" && slices.Contains(given, word) {
			shown = append(shown, word)
		}
	}
	switch {
	case slices.ContainsFunc(given, func(word string) bool { return !slices.Contains(known, word) }):
		return "", "argument(s) must be one of the following: " + shutdownWords
	case slices.Contains(given, "save") && slices.Contains(given, "nosave"):
		return "", "shutdown options SAVE and NOSAVE can't be used simultaneously"
	case len(shown) == 0:
		return "default", ""
	}
	return strings.Join(shown, " "), ""
}

// parseClientMemory reads a number of bytes, or a part of maxmemory.
func parseClientMemory(text string) (value, why string) {
	digits, percent := strings.CutSuffix(text, "%")
	if !percent {
		n, ok := parseMemory(text)
		if !ok {
			return "", "argument must be a memory or percent value"
		}
		return strconv.FormatInt(n, 10), ""
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	switch {
	case err != nil:
		return "", "argument must be a memory or percent value"
	case n > 100:
		return "", "percentage argument must be less or equal to 100"
	case n == 0:
		return "0", ""
	}
	return strconv.FormatUint(n, 10) + "%", ""
}

// maxHostname is the longest name that Redis takes, in bytes.
const maxHostname = 255

func parseHostname(text string) (value, why string) {
	switch {
	case len(text) > maxHostname:
		return "", "Hostnames must be less than 256 characters"
	case strings.ContainsFunc(text, func(r rune) bool { return !alphanumeric(r) && r != '-' && r != '.' }):
		return "", "Hostnames may only contain alphanumeric characters, hyphens or dots"
	}
	return text, ""
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// parseAnnouncedIP takes an address, where Redis takes any text and breaks what
// reads CLUSTER NODES.
func parseAnnouncedIP(text string) (value, why string) {
	if _, err := netip.ParseAddr(text); text != "" && err != nil {
		return "", "argument must be an IP address"
	}
	return text, ""
}

// parseNodename takes what Redis 7.2 does: nothing that ends a field of its
// nodes.conf.
func parseNodename(text string) (value, why string) {
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"',=", r) }) || len(text) > maxHostname {
		return "", "Announced human node name contained invalid character"
	}
	return text, ""
}
