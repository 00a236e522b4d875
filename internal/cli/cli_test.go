package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/spf13/cobra"

	"qpt/internal/ui"
)

func TestExitCodes(t *testing.T) {
	bad, usage := errors.New("bad"), errors.New("usage")
	e := Errors{Usage: []error{usage}, BadInput: func(err error) bool { return errors.Is(err, bad) }, Hint: "convert again"}
	for _, c := range []struct {
		err  error
		code int
		hint string
	}{
		{nil, ui.OK, ""},
		{fmt.Errorf("%w: --x", ErrUsage), ui.Usage, "see cmd --help"},
		{fmt.Errorf("%w: x", usage), ui.Usage, "see cmd --help"},
		{fmt.Errorf("m.qpt: %w", bad), ui.BadInput, "convert again"},
		{fmt.Errorf("open: %w", os.ErrNotExist), ui.Failure, "check the path"},
		{context.Canceled, ui.Interrupted, ""},
		{&ui.ExitError{Code: ui.Threshold, Err: bad}, ui.Threshold, ""},
		{errors.New("else"), ui.Failure, ""},
	} {
		err := e.classify("cmd", c.err)
		var exit *ui.ExitError
		hint := ""
		if errors.As(err, &exit) {
			hint = exit.Hint
		}
		if ui.Code(err) != c.code || hint != c.hint || !errors.Is(err, c.err) {
			t.Errorf("%v: code %d, hint %q, want %d, %q", c.err, ui.Code(err), hint, c.code, c.hint)
		}
	}
}

func TestRoot(t *testing.T) {
	for _, c := range []struct {
		args []string
		hint string // of a usage error; "" for none
	}{
		{nil, ""}, {[]string{"--version"}, ""},
		{[]string{"file"}, "give it with --in"}, {[]string{"insect"}, "did you mean inspect?"},
		{[]string{"--colour"}, "see cmd --help"}, {[]string{"inspect", "--colour"}, "see cmd inspect --help"},
	} {
		root := &cobra.Command{Use: "cmd --in FILE", Args: NoArgs("give it with --in"), RunE: func(*cobra.Command, []string) error { return nil }}
		root.AddCommand(&cobra.Command{Use: "inspect", RunE: root.RunE})
		setup(root)
		root.SetArgs(c.args)
		err := root.Execute()
		var exit *ui.ExitError
		if errors.As(err, &exit) != (c.hint != "") || exit != nil && (exit.Code != ui.Usage || exit.Hint != c.hint) {
			t.Errorf("%q: %v, %+v", c.args, err, exit)
		}
	}
}
