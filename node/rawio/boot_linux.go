package rawio

import (
	"os"
	"strings"
)

// BootID names the present run of the system's kernel, "" if that is not known: two
// calls that agree had no restart of the machine between them.
func BootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
