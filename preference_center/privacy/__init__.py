"""What do we hold on a person, and how is it forgotten? Rights of the person: see, take along, correct, restrict, object, erase."""
