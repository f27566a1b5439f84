//go:build !linux && !darwin

package rawio

// BootID is not known here.
func BootID() string { return "" }
