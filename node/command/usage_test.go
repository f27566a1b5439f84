package command

import (
	"strings"
	"testing"
)

// written writes arguments with everything that is known of them.
func written(arguments []argument) string {
	var all []string
	for _, a := range arguments {
		text := a.name
		if a.token != "" && a.kind != tokenKind {
			text = a.token + ":" + text
		}
		switch a.kind {
		case oneOfKind:
			text += "(" + strings.ReplaceAll(written(a.parts), " ", "|") + ")"
		case blockKind:
			text += "{" + strings.ReplaceAll(written(a.parts), " ", ",") + "}"
		case tokenKind:
			text = "'" + text + "'"
		}
		if a.multiple {
			text += "+"
		}
		if a.multipleToken {
			text += "+"
		}
		if a.optional {
			text += "?"
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func TestUsage(t *testing.T) {
	for usage, want := range map[string]string{
		"":                                       "",
		"key":                                    "key",
		"<slot>":                                 "slot",
		"key [key ...]":                          "key+",
		"destkey [sourcekey [sourcekey ...]]":    "destkey sourcekey+?",
		"[<event> ...]":                          "event+?",
		"key field value [field value ...]":      "key field{field,value}+",
		"key [NX|XX] [GET] [EX seconds|KEEPTTL]": "key nx('nx'|'xx')? 'get'? seconds(EX:seconds|'keepttl')?",
		"key [NX|XX] [CH] score member [score member ...]":         "key nx('nx'|'xx')? 'ch'? score{score,member}+",
		"key BEFORE|AFTER pivot element":                           "key before('before'|'after') pivot element",
		"key [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN]":    "key WEIGHTS:weight+? AGGREGATE:aggregate('sum'|'min')?",
		"key [LIMIT offset count]":                                 "key LIMIT:limit{offset,count}?",
		"key start [end [BYTE|BIT]]":                               "key start end{end,byte('byte'|'bit')?}?",
		"key FIELDS numfields field [field ...]":                   "key FIELDS:fields{numfields,field+}",
		"key FIELDS numfields field value [field value ...]":       "key FIELDS:fields{numfields,field{field,value}+}",
		"key [GET encoding offset ...]":                            "key GET:get{encoding,offset}++?",
		"key [GET pattern [GET pattern ...]] [ASC|DESC]":           "key GET:pattern++? asc('asc'|'desc')?",
		"<slot> (IMPORTING <node-id>|STABLE)":                      "slot node-id(IMPORTING:node-id|'stable')",
		"[protover [AUTH username password] [SETNAME name]]":       "protover{protover,AUTH:auth{username,password}?,SETNAME:name?}?",
		"key [(GET offset | [OVERFLOW (WRAP|SAT)] SET value) ...]": "key offset(GET:offset|overflow{OVERFLOW:overflow('wrap'|'sat')?,SET:value})+?",
	} {
		if got := written(arguments(usage)); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", usage, got, want)
		}
	}
}
