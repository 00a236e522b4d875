//go:build linux || darwin || freebsd || netbsd || openbsd

package outfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lock takes the lock of f, which ends with the process at the latest, or says ErrBusy.
func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrBusy
	}
	return err
}

// renameHeld and removeHeld act on a file that f holds: the lock ends afterwards, so that nobody takes it for a dead one.
func renameHeld(_ *os.File, tmp, path string) error { return os.Rename(tmp, path) }

func removeHeld(_ *os.File, tmp string) error { return os.Remove(tmp) }

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
