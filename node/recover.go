package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/genuineh/aikv/node/server"
)

const recoverUsage = `aikv recover --data-dir FOLDER                       say where the node stands and what would be done
aikv recover --data-dir FOLDER --yes                 MetaRaft begins again from this node
aikv recover --data-dir FOLDER --follow CODE --yes   this node goes over to it

For a cluster in which more than half of MetaRaft's voters are gone for good, on
nodes that are stopped. --follow wants the code that the first one has printed.
The settings are those with which the node runs: --config, AIKV_…, --set.`

// recoverCommand makes the verb that gives MetaRaft up and begins it again.
func recoverCommand(std stdio, env []string) *cli.Command {
	return &cli.Command{
		Name: "recover", Usage: "begin MetaRaft again when most of its voters are gone for good", UsageText: recoverUsage,
		Flags: append(serveFlags(),
			&cli.BoolFlag{Name: "yes", Usage: "do it"},
			&cli.StringFlag{Name: "follow", Usage: "go over to the MetaRaft that printed `CODE`"}),
		Action:       func(c *cli.Context) error { return recoverAction(c, std, env) },
		OnUsageError: func(_ *cli.Context, err error, _ bool) error { return err },
	}
}

func recoverAction(c *cli.Context, std stdio, env []string) error {
	if c.Args().Present() {
		return fmt.Errorf("recover takes no arguments, but there is %q", c.Args().First())
	}
	if c.IsSet("follow") && c.String("follow") == "" {
		return errors.New("--follow wants the code that aikv recover printed")
	}
	cfg, err := loadConfig(c, env)
	if err != nil {
		return err
	}
	log, err := openLog(cfg, std.err)
	if err != nil {
		return err
	}
	defer log.close()
	opts := server.RecoverOptions{Follow: c.String("follow"), Yes: c.Bool("yes")}
	return server.Recover(cfg, opts, log.Logger, std.out)
}
