//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package outfile

import "os"

// lock does nothing: Windows removes no file that a process has open, which is as good.
func lock(*os.File) error { return nil }

// renameHeld and removeHeld close f first, for the same reason.
func renameHeld(f *os.File, tmp, path string) error {
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func removeHeld(f *os.File, tmp string) error {
	f.Close()
	return os.Remove(tmp)
}

func syncDir(string) error { return nil }
