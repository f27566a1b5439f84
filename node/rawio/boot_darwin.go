package rawio

import "golang.org/x/sys/unix"

// BootID names the present run of the system's kernel, "" if that is not known: two
// calls that agree had no restart of the machine between them.
func BootID() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}
