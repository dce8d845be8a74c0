"""The commands of `preference-center`, a file for each subject; part of the door `cli`."""
