// Package command is what a command is: its row (Command) in a Table, where its keys
// stand (KeySpec), how it takes arguments (Args) and what its handler works with: View
// to read, Tx to write, Env where the node itself answers. Replies are written to a
// resp.Reply.
//
// The commands themselves are in the packages of node/data and in node/admin; README.md
// says how to add one.
package command
