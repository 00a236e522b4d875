package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"qpt/internal/ui"
)

func TestExitCodes(t *testing.T) {
	bad, usage := errors.New("bad"), errors.New("usage")
	e := Errors{Usage: []error{usage}, BadInput: func(err error) bool { return errors.Is(err, bad) }, Hint: func(error) string { return "convert again" }}
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
		if err != nil && strings.Contains(err.Error(), "wrong usage") {
			t.Errorf("says %q", err)
		}
	}
}

func TestUsage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.qpt")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args      string
		err, hint string // of a usage error; "" for none
	}{
		{"", "", ""}, {"--version", "", ""},
		{path, `unexpected argument`, "give it with --in"},
		{"m.gguf", `unexpected argument "m.gguf"`, "give it with --in"},
		{"insect", `unknown command "insect"`, "did you mean inspect?"},
		{"insp", `unknown command "insp"`, "did you mean inspect?"},
		{"serve", `unknown command "serve"`, "commands: completion, help, inspect"},
		{"inspect x", `unexpected argument "x"`, "nothing"},
		{"--colour", "unknown flag: --colour", "see cmd --help"},
		{"-z", "unknown flag: -z", "see cmd --help"},
		{"inspect --colour", "unknown flag: --colour", "see cmd inspect --help"},
		{"--treads 2", "unknown flag: --treads", "did you mean --threads?"},
		{"--thre 2", "unknown flag: --thre", "did you mean --threads?"},
		{"inspect --graph", "unknown flag: --graph", "did you mean --graphs?"},
		{"--rows 2", "unknown flag: --rows", "--rows is a flag of cmd inspect"},
		{"inspect --seed 2", "unknown flag: --seed", "--seed is a flag of cmd"},
		{"--threads many", "--threads many: want a whole number", "see cmd --help"},
		{"--threads 99999999999999999999", "--threads 99999999999999999999: want a whole number", "see cmd --help"},
		{"--threads=", `--threads "": want a whole number`, "see cmd --help"},
		{"--seed -1", "--seed -1: want a whole number, 0 or more", "see cmd --help"},
		{"--p x", "--p x: want a number", "see cmd --help"},
		{"--list 1,x", "--list 1,x: want whole numbers with commas between them", "see cmd --help"},
		{"--bool=2", "--bool 2: want true or false", "see cmd --help"},
		{"--share 95", "--share 95: a share is 1 at most: did you mean 95%?", "see cmd --help"},
		{"--share most", "--share most: want a share such as 95% or 0.95", "see cmd --help"},
		{"--threads", "flag needs an argument: --threads", "see cmd --help"},
	} {
		root := &cobra.Command{Use: "cmd --in FILE", Args: Args(nil, "give it with --in"), RunE: func(*cobra.Command, []string) error { return nil }}
		sub := &cobra.Command{Use: "inspect", Args: Args(nil, "nothing"), RunE: root.RunE}
		sub.Flags().Bool("graphs", false, "")
		sub.Flags().Int("rows", 0, "")
		root.AddCommand(sub)
		f := root.Flags()
		f.Int("threads", 0, "")
		f.Uint64("seed", 0, "")
		f.Float64("p", 0, "")
		f.IntSlice("list", nil, "")
		f.Bool("bool", false, "")
		f.Var(&Share{}, "share", "")
		setup(root)
		root.SetOut(io.Discard)
		root.SetArgs(strings.Fields(c.args))
		err := root.Execute()
		var exit *ui.ExitError
		if errors.As(err, &exit) != (c.hint != "") || exit != nil && (exit.Code != ui.Usage || exit.Hint != c.hint || !strings.HasPrefix(exit.Error(), c.err)) {
			t.Errorf("%s: %v, %+v", c.args, err, exit)
		}
	}
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		text   string
		growth bool
		want   float64 // -1: an error
	}{
		{"0.95", false, 0.95}, {"95%", false, 0.95}, {"1", false, 1}, {"100%", false, 1}, {"0", false, 0}, {"0.5%", false, 0.005}, {"1e-3", false, 1e-3},
		{"95", false, -1}, {"1.01", false, -1}, {"101%", false, -1}, {"-1%", false, -1}, {"-0.1", false, -1}, {"", false, -1}, {"%", false, -1},
		{"95 %", false, -1}, {"95%%", false, -1}, {"nan", false, -1}, {"inf%", true, -1}, {"2", true, -1}, {"150%", true, 1.5}, {"0.02", true, 0.02},
	} {
		s := Share{Growth: c.growth}
		err := s.Set(c.text)
		if (err != nil) != (c.want < 0) || err == nil && (s.Value != c.want || !s.Given) || err != nil && s.Given {
			t.Errorf("%q: %+v, %v; want %v", c.text, s, err, c.want)
		}
	}
}

func TestModelArg(t *testing.T) {
	for _, c := range []struct {
		args  []string
		model string
		want  string // "": an error
	}{
		{[]string{"a"}, "", "a"}, {nil, "a", "a"}, {nil, "", ""}, {[]string{"a"}, "b", ""}, {[]string{"a", "b"}, "", ""},
	} {
		model := c.model
		err := ModelArg(&cobra.Command{Use: "x"}, c.args, &model)
		if (err == nil) != (c.want != "") || err == nil && model != c.want || err != nil && !errors.Is(err, ErrUsage) {
			t.Errorf("%q, --model %q: %q, %v", c.args, c.model, model, err)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"scheme", "exclude", "include", "in", "out", "target-bpw", "target-size"}
	for word, want := range map[string]string{
		"schem": "scheme", "shceme": "scheme", "scheem": "scheme", "sch": "scheme", "target": "", "target-bwp": "target-bpw",
		"i": "", "on": "", "ou": "out", "colour": "", "ex": "exclude",
	} {
		if got := nearest(word, words); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}
