package outfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// ErrInput is matched by the error of Check.
var ErrInput = errors.New("an output would replace an input")

// notRead are endings of files that nothing reads from a folder, so that a model, a report or a profile may be written there again.
var notRead = []string{".qpt", ".html", ".prof"}

// Check refuses an output that is one of the inputs, by whatever name: through links, as the blob that a hub's folder
// points to. An input that is a folder stands for its files, except *.qpt, *.html and *.prof. What does not exist, "" and "-" are passed over.
func Check(path string, inputs ...string) error {
	if path == "" || path == "-" {
		return nil
	}
	out, err := os.Stat(path)
	if err != nil {
		return nil // not there yet
	}
	for _, in := range inputs {
		st, err := os.Stat(in)
		if err != nil {
			continue
		}
		list := []string{in}
		if st.IsDir() {
			list = append(list, files(in)...)
		}
		for _, name := range list {
			if st, err := os.Stat(name); err == nil && os.SameFile(out, st) {
				return &inputError{path, name}
			}
		}
	}
	return nil
}

// files are those of a folder that may be read.
func files(dir string) (list []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if !slices.Contains(notRead, filepath.Ext(e.Name())) {
			list = append(list, filepath.Join(dir, e.Name()))
		}
	}
	return list
}

type inputError struct{ out, in string }

func (e *inputError) Error() string {
	return fmt.Sprintf("the output file %s is the input %s: give it another name", e.out, e.in)
}

func (e *inputError) Is(target error) bool { return target == ErrInput }
