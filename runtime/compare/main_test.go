package compare_test

import (
	"testing"

	"qpt/runtime/lm/lmtest"
)

func TestMain(m *testing.M) { lmtest.Main(m) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
