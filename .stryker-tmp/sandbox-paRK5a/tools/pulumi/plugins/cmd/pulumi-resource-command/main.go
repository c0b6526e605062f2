// pulumi-resource-command is the plugin of @pulumi/command.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"hockey-delivery/tools/pulumi/plugins/command"
)

// version is the npm package's: with any other, every run warns.
const version = "1.2.1"

func main() {
	if slices.Equal(os.Args[1:], []string{"-version"}) {
		fmt.Println(version)
		return
	}
	provider, err := command.NewProvider()
	if err == nil {
		err = provider.Run(context.Background(), "command", version)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
