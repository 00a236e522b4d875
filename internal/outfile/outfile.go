// Package outfile writes files that appear complete or not at all, and never over what is read.
//
//	if err := outfile.Check(path, inputs...); err != nil { ... } // before any work
//	f, err := outfile.Create(path)
//	defer f.Abort() // leaves nothing behind if Commit is not reached
//	_, err = f.Write(data)
//	err = f.Commit()
//
// Until Commit the bytes are in a hidden file beside the place, ".NAME.unfinished", which the process holds locked. So
// two processes that write the same file exclude each other, and what a killed process left is told apart from
// work in progress: Create removes all such files of the folder that nobody holds.
package outfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ErrBusy is matched by Create's error when another process, or another File of this one, writes the same file.
var ErrBusy = errors.New("the file is being written already")

const suffix = ".unfinished"

// File is a new file that is not yet in its place. Write only; its methods belong to one goroutine.
type File struct {
	*os.File        // nil after Commit or Abort
	path     string // where it goes
	tmp      string
}

// unfinished are the Files of this process that are neither committed nor aborted, by name.
var unfinished sync.Map

// RemoveAll removes what all Files have written so far, for a process that exits at once: what they do afterwards fails.
func RemoveAll() {
	unfinished.Range(func(tmp, _ any) bool {
		os.Remove(tmp.(string))
		return true
	})
}

// Create starts a file that replaces path on Commit. It removes what dead processes left in the folder.
func Create(path string) (*File, error) {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() { // a rename would replace a device
		return nil, fmt.Errorf("%s: a folder or device stands there; give another name", path)
	}
	dir, base := filepath.Split(path)
	tmp := filepath.Join(dir, "."+base+suffix)
	sweep(filepath.Dir(path))
	for try := 0; ; try++ {
		f, err := create(tmp)
		if err == nil {
			unfinished.Store(tmp, nil)
			return &File{f, path, tmp}, nil
		}
		if !errors.Is(err, ErrBusy) || try == 20 {
			return nil, err
		}
		time.Sleep(5 * time.Millisecond) // another's sweep may hold it for a moment
	}
}

// create makes tmp and holds it; one that nobody holds makes way.
func create(tmp string) (*os.File, error) {
	if err := remove(tmp); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		err = ErrBusy
	} else if err == nil {
		if err = hold(f, tmp); err != nil {
			f.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tmp, err)
	}
	return f, nil
}

// Path is where the file goes.
func (f *File) Path() string { return f.path }

// hold locks f, which must still be the file of that name.
func hold(f *os.File, name string) error {
	if err := lock(f); err != nil {
		return err
	}
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	if there, err := os.Lstat(name); err != nil || !os.SameFile(mine, there) {
		return ErrBusy
	}
	return nil
}

// remove removes an unfinished file that nobody holds; it is no error if it is gone.
func remove(tmp string) error {
	st, err := os.Lstat(tmp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() { // a link could lead anywhere, opening a pipe would wait
		return fmt.Errorf("%s: no regular file: remove it", tmp)
	}
	f, err := os.OpenFile(tmp, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	switch err := hold(f, tmp); {
	case errors.Is(err, ErrBusy):
		return fmt.Errorf("%s: %w", tmp, err)
	case err != nil: // a file system without locks
		return fmt.Errorf("%s: %w: remove it if no process is writing it", tmp, err)
	}
	return removeHeld(f, tmp)
}

// sweep removes what dead processes left in a folder, as far as it can.
func sweep(dir string) {
	list, _ := os.ReadDir(dir)
	for _, e := range list {
		if name := e.Name(); e.Type().IsRegular() && strings.HasPrefix(name, ".") && strings.HasSuffix(name, suffix) {
			_ = remove(filepath.Join(dir, name))
		}
	}
}

// Commit puts the file in its place once it is on the disk. After a failure nothing is left behind.
func (f *File) Commit() error {
	if f.File == nil {
		return fmt.Errorf("%s: %w", f.path, os.ErrClosed)
	}
	err := f.Sync()
	if err == nil {
		err = renameHeld(f.File, f.tmp, f.path)
	}
	if err != nil {
		f.Abort()
		return err
	}
	unfinished.Delete(f.tmp)
	err = f.Close()
	f.File = nil
	return errors.Join(err, syncDir(filepath.Dir(f.path)))
}

// Abort removes what was written. It does nothing after Commit.
func (f *File) Abort() {
	if f.File == nil {
		return
	}
	removeHeld(f.File, f.tmp)
	f.Close()
	unfinished.Delete(f.tmp)
	f.File = nil
}

// Write replaces path by data in one step.
func Write(path string, data []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Commit()
}
