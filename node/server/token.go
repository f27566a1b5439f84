package server

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/genuineh/aikv/node/config"
)

// tokens returns the secrets that peers have to know one of: those of the
// settings, or else those of the token file, which is made if it is not there.
func tokens(cfg config.Raft, log *slog.Logger) ([]string, error) {
	if cfg.Token != "" || cfg.TokenFile == "" {
		return []string{cfg.Token, cfg.TokenOld}, nil
	}
	path := cfg.TokenFile
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeToken(path); err != nil {
			return nil, fmt.Errorf("cannot make raft.token_file: %w", err)
		}
		log.Info("a new secret was made; all nodes of the cluster need the same file", "raft.token_file", path)
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read raft.token_file: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		log.Warn("other users of this machine can read the secret of the cluster: chmod 600", "raft.token_file", path)
	}
	list := strings.Fields(string(text))
	if len(list) == 0 || len(list) > 2 {
		return nil, fmt.Errorf("raft.token_file %s has %d lines with a secret, not one or two", path, len(list))
	}
	for _, token := range list {
		if len(token) < config.MinToken {
			return nil, fmt.Errorf("raft.token_file %s has a secret of less than %d characters", path, config.MinToken)
		}
	}
	return list, nil
}

// makeToken writes a new secret to a file that is complete as soon as it is
// there. Of several nodes that do so at the same time, one wins.
func makeToken(path string) error {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	f, err := os.CreateTemp(filepath.Dir(path), ".token-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintf(f, "%x\n", secret)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
