// Package option reads the options that commands of several families share: times of
// expiry, the conditions of setting one, and ranges of indexes.
package option
