package kit

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends the process if the test process ends without stopping it: a
// panic, a timeout of go test.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
