package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"qpt/internal/ui"
)

// flagError puts an error of pflag in words and says what may have been meant.
func flagError(c *cobra.Command, err error) error {
	hint := "see " + c.CommandPath() + " --help"
	var unknown *pflag.NotExistError
	var value *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			err = fmt.Errorf("unknown flag: -%s", name)
			break
		}
		if near := nearest(name, flagNames(c)); near != "" {
			hint = "did you mean --" + near + "?"
		} else if others := commandsWith(c.Root(), name); len(others) > 0 {
			hint = "--" + name + " is a flag of " + strings.Join(others, ", ")
		}
	case errors.As(err, &value):
		f := value.GetFlag()
		words := value.Unwrap().Error()
		if errors.Is(err, strconv.ErrSyntax) || errors.Is(err, strconv.ErrRange) || f.Value.Type() == "bool" {
			words = "want " + kind(f.Value.Type())
		}
		err = fmt.Errorf("--%s %s: %s", f.Name, quoted(value.GetValue()), words)
	}
	return &ui.ExitError{Code: ui.Usage, Err: err, Hint: hint}
}

// kind says what a flag of a type of pflag takes.
func kind(typ string) string {
	switch typ {
	case "int", "int64":
		return "a whole number"
	case "uint", "uint64":
		return "a whole number, 0 or more"
	case "float64":
		return "a number"
	case "bool":
		return "true or false"
	case "intSlice":
		return "whole numbers with commas between them"
	}
	return "a " + typ
}

// quoted quotes what could not be told from the words around it.
func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " \t\n\"") {
		return strconv.Quote(s)
	}
	return s
}

func flagNames(c *cobra.Command) (names []string) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return names
}

// commandsWith are the commands from c on that have a flag.
func commandsWith(c *cobra.Command, flag string) (list []string) {
	if c.LocalFlags().Lookup(flag) != nil && !c.Hidden {
		list = append(list, c.CommandPath())
	}
	for _, s := range c.Commands() {
		list = append(list, commandsWith(s, flag)...)
	}
	return list
}

// nearest is the word that a mistyped one most likely means, or "": a letter
// or two differ, or it is the beginning of that word alone.
func nearest(word string, words []string) string {
	best, least := "", min(2, len(word)/3)+1
	for _, w := range words {
		if d := distance(word, w); d < least {
			best, least = w, d
		}
	}
	if best == "" {
		var longer []string
		for _, w := range words {
			if len(word) > 1 && strings.HasPrefix(w, word) {
				longer = append(longer, w)
			}
		}
		if len(longer) == 1 {
			best = longer[0]
		}
	}
	return best
}

// distance is how many letters must be put in, taken out, replaced or swapped with the next to turn a into b.
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

// Args is for commands that take no arguments, or a root that takes a file:
// what looks like neither a file nor a command is an unknown command.
// take gets the arguments of a root that are files; nil takes none, and
// instead says how what was meant is given.
func Args(take cobra.PositionalArgs, instead string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		word := args[0]
		if _, err := os.Stat(word); c.HasSubCommands() && err != nil && !strings.ContainsAny(word, `./\`) {
			return unknownCommand(c, word)
		}
		if take != nil {
			return take(c, args)
		}
		return &ui.ExitError{Code: ui.Usage, Err: fmt.Errorf("unexpected argument %q", word), Hint: instead}
	}
}

func unknownCommand(c *cobra.Command, word string) error {
	var names []string
	for _, s := range c.Commands() {
		if !s.Hidden {
			names = append(names, s.Name())
		}
	}
	slices.Sort(names)
	hint := "commands: " + strings.Join(names, ", ")
	if near := nearest(word, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	return &ui.ExitError{Code: ui.Usage, Err: fmt.Errorf("unknown command %q", word), Hint: hint}
}
